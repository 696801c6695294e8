//! `Frame`: the bytes stay where the media thread has put them, and Python looks at them there.

use std::ffi::c_int;
use std::sync::Arc;

use live777_media::codec::Codec;
use live777_media::frame as media;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;

use crate::error::{Number, invalid};

/// The codecs that frames have.
pub const CODECS: [Codec; 9] =
    [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::G722];

/// Microseconds of a second.
const MICROS: f64 = 1e6;
/// Until the year 5138; what is beyond is no time of anything.
const MAX_WALLCLOCK: f64 = 1e11;

/// One encoded picture, or the sound of one packet.
#[pyclass(frozen, module = "live777py._media")]
pub struct Frame(media::Frame);

impl From<media::Frame> for Frame {
    fn from(frame: media::Frame) -> Self {
        Self(frame)
    }
}

impl Frame {
    /// As taps give it.
    pub fn data(&self) -> &[u8] {
        &self.0.data
    }
}

#[pymethods]
impl Frame {
    #[new]
    #[pyo3(signature = (data, *, codec, timestamp, clock_rate, wallclock, synced=true, key_frame=true, gap=false,
                        width=Number(0), height=Number(0), rid=None),
           text_signature = "(data, *, codec, timestamp, clock_rate, wallclock, synced=True, key_frame=True, gap=False, \
                             width=0, height=0, rid=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python<'_>,
        data: PyBuffer<u8>,
        codec: &str,
        timestamp: Number<i64>,
        clock_rate: Number<u32>,
        wallclock: f64,
        synced: bool,
        key_frame: bool,
        gap: bool,
        width: Number<u16>,
        height: Number<u16>,
        rid: Option<&str>,
    ) -> PyResult<Self> {
        let known = CODECS.into_iter().find(|known| known.name() == codec);
        Ok(Self(media::Frame {
            data: data.to_vec(py)?,
            codec: known.ok_or_else(|| invalid("codec", "not a codec of frames"))?,
            timestamp: timestamp.0,
            clock_rate: clock_rate.0,
            wallclock: parse_wallclock(wallclock)?,
            synced,
            key_frame,
            gap,
            size: (width.0, height.0),
            rid: rid.map(Arc::from),
        }))
    }

    #[getter]
    fn timestamp(&self) -> i64 {
        self.0.timestamp
    }

    #[getter]
    fn clock_rate(&self) -> u32 {
        self.0.clock_rate
    }

    #[getter]
    #[expect(clippy::cast_precision_loss, reason = "microseconds have room in a double until the year 2255")]
    fn wallclock(&self) -> f64 {
        self.0.wallclock as f64 / MICROS
    }

    #[getter]
    fn synced(&self) -> bool {
        self.0.synced
    }

    #[getter]
    fn key_frame(&self) -> bool {
        self.0.key_frame
    }

    #[getter]
    fn gap(&self) -> bool {
        self.0.gap
    }

    #[getter]
    fn width(&self) -> u16 {
        self.0.size.0
    }

    #[getter]
    fn height(&self) -> u16 {
        self.0.size.1
    }

    #[getter]
    fn codec(&self) -> &'static str {
        self.0.codec.name()
    }

    #[getter]
    fn rid(&self) -> Option<&str> {
        self.0.rid.as_deref()
    }

    fn __len__(&self) -> usize {
        self.0.data.len()
    }

    /// PEP 688, which Python 3.12 makes of the slot by itself.
    fn __buffer__<'py>(slf: &Bound<'py, Self>, flags: c_int) -> PyResult<Bound<'py, PyMemoryView>> {
        let _ = flags;
        PyMemoryView::from(slf)
    }

    /// Python keeps the frame for as long as somebody looks at its bytes, and nobody changes them.
    #[expect(unsafe_code, reason = "the buffer protocol hands out a pointer")]
    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let data = &slf.get().0.data;
        let length = data.len().try_into().map_err(|_| PyValueError::new_err("too long"))?;
        // SAFETY: the view takes a reference to the frame, which is frozen, so pointer and length stay true until it is
        // released. It is read-only. `view` is the caller's, and a null one is refused.
        let filled =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), data.as_ptr().cast_mut().cast(), length, 1, flags) };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }

    fn __repr__(&self) -> String {
        let media::Frame { codec, timestamp, clock_rate, key_frame, gap, .. } = &self.0;
        let (data, wallclock) = (self.0.data.len(), self.wallclock());
        let kind = if *key_frame { " key_frame" } else { "" };
        let gap = if *gap { " gap" } else { "" };
        format!(
            "<Frame {} {data} bytes timestamp={timestamp}/{clock_rate} wallclock={wallclock:.6}{kind}{gap}>",
            codec.name()
        )
    }
}

/// Unix time in microseconds.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub fn parse_wallclock(seconds: f64) -> PyResult<i64> {
    if seconds.abs() < MAX_WALLCLOCK {
        Ok((seconds * MICROS).round() as i64)
    } else {
        Err(invalid("wallclock", "no Unix time in seconds"))
    }
}
