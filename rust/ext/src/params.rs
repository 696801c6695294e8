//! The parameter classes: keyword arguments of Python, checked and turned into the values of the media plane.

use live777_media::codec::Codec;
use live777_media::command as media;
use live777_media::rtp::ExtensionKind;
use pyo3::prelude::*;

use crate::error::{Number, invalid};
use crate::frame::CODECS;

/// RFC 8445 section 5.3: at least 24 bits of ufrag and 128 bits of password, six bits a character, 256 at most.
const UFRAG_LENGTH: std::ops::RangeInclusive<usize> = 4..=256;
const PWD_LENGTH: std::ops::RangeInclusive<usize> = 22..=256;

/// Codecs, encodings or extensions of one m-section. An SDP has no use for more.
const LIST_LIMIT: usize = 64;
/// Bytes of one.
const PARAMETER_SET_LIMIT: usize = 4096;

/// RFC 8445 credentials of both ends. A remote ufrag that is not known yet is None (it is learned by PATCH).
#[pyclass(frozen, module = "live777py._media")]
pub struct IceParameters(pub media::IceParameters);

#[pymethods]
impl IceParameters {
    #[new]
    #[pyo3(signature = (*, role, local_ufrag, local_pwd, remote_ufrag=None, remote_pwd=None))]
    fn new(
        role: &str,
        local_ufrag: String,
        local_pwd: String,
        remote_ufrag: Option<String>,
        remote_pwd: Option<String>,
    ) -> PyResult<Self> {
        let role = match role {
            "lite" => media::IceRole::Lite,
            "controlling" => media::IceRole::Controlling,
            "controlled" => media::IceRole::Controlled,
            _ => return Err(invalid("role", "expected lite, controlling or controlled")),
        };
        check_length("local_ufrag", Some(&local_ufrag), UFRAG_LENGTH)?;
        check_length("local_pwd", Some(&local_pwd), PWD_LENGTH)?;
        check_length("remote_ufrag", remote_ufrag.as_ref(), UFRAG_LENGTH)?;
        check_length("remote_pwd", remote_pwd.as_ref(), PWD_LENGTH)?;
        Ok(Self(media::IceParameters { role, local_ufrag, local_pwd, remote_ufrag, remote_pwd }))
    }

    fn __repr__(&self) -> String {
        let media::IceParameters { role, local_ufrag, remote_ufrag, .. } = &self.0;
        format!("IceParameters(role={role:?}, local_ufrag={local_ufrag:?}, remote_ufrag={remote_ufrag:?})")
    }
}

/// One payload type of an m-section. `name` is the rtpmap encoding name in any case, `clock_rate` in Hz.
#[pyclass(frozen, module = "live777py._media")]
pub struct CodecParameters(media::CodecParameters);

#[pymethods]
impl CodecParameters {
    #[new]
    #[pyo3(signature = (*, payload_type, name, clock_rate, rtx_payload_type=None, nack=false, pli=false, fir=false,
                        transport_cc=false, remb=false, parameter_sets=Vec::new()))]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "keyword arguments of Python")]
    fn new(
        payload_type: Number<u8>,
        name: &str,
        clock_rate: Number<u32>,
        rtx_payload_type: Option<Number<u8>>,
        nack: bool,
        pli: bool,
        fir: bool,
        transport_cc: bool,
        remb: bool,
        parameter_sets: Vec<Vec<u8>>,
    ) -> PyResult<Self> {
        if name.is_empty() {
            return Err(invalid("name", "must not be empty"));
        }
        if clock_rate.0 == 0 {
            return Err(invalid("clock_rate", "must be positive"));
        }
        if parameter_sets.len() > LIST_LIMIT || parameter_sets.iter().any(|set| set.len() > PARAMETER_SET_LIMIT) {
            return Err(invalid("parameter_sets", "too many, or too long"));
        }
        Ok(Self(media::CodecParameters {
            payload_type: check_payload_type("payload_type", payload_type.0)?,
            codec: Codec::from_name(name),
            clock_rate: clock_rate.0,
            rtx_payload_type: rtx_payload_type
                .map(|number| check_payload_type("rtx_payload_type", number.0))
                .transpose()?,
            nack,
            pli,
            fir,
            transport_cc,
            remb,
            parameter_sets,
        }))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// One encoding of a track: known by rid (RFC 8852), by SSRC, or (both None) by MID or payload type alone.
#[pyclass(frozen, module = "live777py._media")]
pub struct EncodingParameters(media::EncodingParameters);

#[pymethods]
impl EncodingParameters {
    #[new]
    #[pyo3(signature = (*, rid=None, ssrc=None, rtx_ssrc=None))]
    fn new(rid: Option<String>, ssrc: Option<Number<u32>>, rtx_ssrc: Option<Number<u32>>) -> PyResult<Self> {
        check_length("rid", rid.as_ref(), 1..=255)?;
        let (ssrc, rtx_ssrc) = (ssrc.map(|number| number.0), rtx_ssrc.map(|number| number.0));
        Ok(Self(media::EncodingParameters { rid, ssrc, rtx_ssrc }))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// What a publisher sends in one m-section. `extensions` maps header extension ids (1-255) to URIs.
#[pyclass(frozen, module = "live777py._media")]
pub struct TrackParameters(pub media::TrackParameters);

#[pymethods]
impl TrackParameters {
    #[new]
    #[pyo3(signature = (*, kind, mid, codecs, encodings, extensions=Vec::new(), local_ssrc),
           text_signature = "(*, kind, mid, codecs, encodings, extensions=(), local_ssrc)")]
    fn new(
        kind: &str,
        mid: Option<String>,
        codecs: Vec<Py<CodecParameters>>,
        encodings: Vec<Py<EncodingParameters>>,
        extensions: Vec<(Number<u8>, String)>,
        local_ssrc: Number<u32>,
    ) -> PyResult<Self> {
        if encodings.is_empty() || encodings.len() > LIST_LIMIT {
            return Err(invalid("encodings", format_args!("expected 1 to {LIST_LIMIT}")));
        }
        Ok(Self(media::TrackParameters {
            kind: parse_kind(kind)?,
            mid: check_mid(mid)?,
            codecs: take_codecs(&codecs)?,
            encodings: encodings.iter().map(|encoding| encoding.get().0.clone()).collect(),
            extensions: parse_extensions(extensions)?,
            local_ssrc: local_ssrc.0,
        }))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// What a viewer gets in one m-section, as its answer says it: our SSRCs, its payload types and extension ids.
#[pyclass(frozen, module = "live777py._media")]
pub struct SubscriptionParameters(pub media::SubscriptionParameters);

#[pymethods]
impl SubscriptionParameters {
    #[new]
    #[pyo3(signature = (*, kind, mid, ssrc, rtx_ssrc=None, cname, codecs, extensions=Vec::new(), rid=None),
           text_signature = "(*, kind, mid, ssrc, rtx_ssrc=None, cname, codecs, extensions=(), rid=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        kind: &str,
        mid: Option<String>,
        ssrc: Number<u32>,
        rtx_ssrc: Option<Number<u32>>,
        cname: String,
        codecs: Vec<Py<CodecParameters>>,
        extensions: Vec<(Number<u8>, String)>,
        rid: Option<String>,
    ) -> PyResult<Self> {
        check_length("cname", Some(&cname), 1..=255)?;
        check_length("rid", rid.as_ref(), 1..=255)?;
        Ok(Self(media::SubscriptionParameters {
            kind: parse_kind(kind)?,
            mid: check_mid(mid)?,
            ssrc: ssrc.0,
            rtx_ssrc: rtx_ssrc.map(|number| number.0),
            rid,
            cname,
            codecs: take_codecs(&codecs)?,
            extensions: parse_extensions(extensions)?,
        }))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// What a source writes: the payload type under which subscriptions find it, and the codec, one of `FrameCodec`.
#[pyclass(frozen, module = "live777py._media")]
pub struct SourceParameters(pub media::SourceParameters);

#[pymethods]
impl SourceParameters {
    #[new]
    #[pyo3(signature = (*, codec))]
    fn new(codec: &Bound<'_, CodecParameters>) -> PyResult<Self> {
        let codec = codec.get().0.clone();
        if !CODECS.contains(&codec.codec) {
            return Err(invalid("codec", "not a codec of frames"));
        }
        Ok(Self(media::SourceParameters { codec }))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A payload type is a seven-bit number (RFC 3550 section 5.1).
pub fn check_payload_type(argument: &str, number: u8) -> PyResult<u8> {
    if number > 127 { Err(invalid(argument, "a payload type is 0 to 127")) } else { Ok(number) }
}

fn parse_kind(kind: &str) -> PyResult<media::Kind> {
    match kind {
        "audio" => Ok(media::Kind::Audio),
        "video" => Ok(media::Kind::Video),
        _ => Err(invalid("kind", "expected audio or video")),
    }
}

/// Says the length, never the text: some of these are secrets.
fn check_length(argument: &str, text: Option<&String>, allowed: std::ops::RangeInclusive<usize>) -> PyResult<()> {
    match text {
        Some(text) if !allowed.contains(&text.len()) => {
            let (least, most) = (allowed.start(), allowed.end());
            Err(invalid(argument, format_args!("{} bytes, expected {least} to {most}", text.len())))
        }
        _ => Ok(()),
    }
}

fn check_mid(mid: Option<String>) -> PyResult<Option<String>> {
    check_length("mid", mid.as_ref(), 1..=255)?;
    Ok(mid)
}

fn take_codecs(codecs: &[Py<CodecParameters>]) -> PyResult<Vec<media::CodecParameters>> {
    if codecs.is_empty() || codecs.len() > LIST_LIMIT {
        return Err(invalid("codecs", format_args!("expected 1 to {LIST_LIMIT}")));
    }
    Ok(codecs.iter().map(|codec| codec.get().0.clone()).collect())
}

/// Extensions that the media plane has no use for are left out.
fn parse_extensions(extensions: Vec<(Number<u8>, String)>) -> PyResult<Vec<(u8, ExtensionKind)>> {
    if extensions.len() > LIST_LIMIT {
        return Err(invalid("extensions", format_args!("expected at most {LIST_LIMIT}")));
    }
    if extensions.iter().any(|(id, _)| id.0 == 0) {
        return Err(invalid("extensions", "an id is 1 to 255"));
    }
    Ok(extensions.into_iter().filter_map(|(id, uri)| Some((id.0, ExtensionKind::from_uri(&uri)?))).collect())
}
