//! `live777py._media`.
use pyo3::prelude::*;

#[pymodule]
fn _media(_m: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
