"""The SRTP profiles that we agree to, and the keys that a DTLS handshake yields for one (RFC 5764, RFC 7714)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

EngineProfile = Literal["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES128_CM_HMAC_SHA1_80"]

EXPORTER_LABEL: Final = b"EXTRACTOR-dtls_srtp"


@dataclass(frozen=True, kw_only=True, slots=True)
class SrtpProfile:
    """One row: what OpenSSL and the engine call it, and its lengths in bytes."""

    openssl_profile: bytes
    engine_profile: EngineProfile
    key_length: int
    salt_length: int

    @property
    def material_length(self) -> int:
        return 2 * (self.key_length + self.salt_length)


# The order is our preference as a server: the cheapest per packet first (DESIGN section 4).
PROFILES: Final = (
    SrtpProfile(
        openssl_profile=b"SRTP_AEAD_AES_128_GCM", engine_profile="AEAD_AES_128_GCM", key_length=16, salt_length=12
    ),
    SrtpProfile(
        openssl_profile=b"SRTP_AES128_CM_SHA1_80",
        engine_profile="AES128_CM_HMAC_SHA1_80",
        key_length=16,
        salt_length=14,
    ),
    SrtpProfile(
        openssl_profile=b"SRTP_AEAD_AES_256_GCM", engine_profile="AEAD_AES_256_GCM", key_length=32, salt_length=12
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SrtpKeys:
    """Master keys and salts of both directions. Its repr shows none of them."""

    profile: SrtpProfile
    local_key: bytes = field(repr=False)
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    remote_salt: bytes = field(repr=False)

    @classmethod
    def from_material(cls, profile: SrtpProfile, material: bytes, *, server: bool) -> SrtpKeys:
        """`material` is client key, server key, client salt, server salt; `server` says which end we are."""
        keys = profile.key_length
        salts = profile.salt_length
        client_key, server_key = material[:keys], material[keys : 2 * keys]
        client_salt, server_salt = material[2 * keys : 2 * keys + salts], material[2 * keys + salts :]
        if server:
            client_key, server_key = server_key, client_key
            client_salt, server_salt = server_salt, client_salt
        return cls(
            profile=profile,
            local_key=client_key,
            local_salt=client_salt,
            remote_key=server_key,
            remote_salt=server_salt,
        )
