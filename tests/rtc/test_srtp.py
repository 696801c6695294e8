"""Profiles and the cutting of keying material."""

from __future__ import annotations

import pytest

from live777py.rtc.srtp import PROFILES, SrtpKeys, SrtpProfile


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.engine_profile)
def test_what_one_end_sends_with_the_other_receives_with(profile: SrtpProfile) -> None:
    material = bytes(range(profile.material_length))
    server = SrtpKeys.from_material(profile, material, server=True)
    client = SrtpKeys.from_material(profile, material, server=False)
    assert (server.local_key, server.local_salt) == (client.remote_key, client.remote_salt)
    assert (server.remote_key, server.remote_salt) == (client.local_key, client.local_salt)
    assert client.local_key + server.local_key + client.local_salt + server.local_salt == material
    assert {len(server.local_key), len(client.local_key)} == {profile.key_length}


def test_keys_are_not_printed() -> None:
    profile = PROFILES[0]
    keys = SrtpKeys.from_material(profile, b"\xaa" * profile.material_length, server=True)
    assert "xaa" not in repr(keys)


def test_the_cheapest_profile_is_preferred() -> None:
    assert [profile.engine_profile for profile in PROFILES] == [
        "AEAD_AES_128_GCM",
        "AES128_CM_HMAC_SHA1_80",
        "AEAD_AES_256_GCM",
    ]
