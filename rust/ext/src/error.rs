//! The one map of errors: from the media plane and the system to what Python sees.

use std::io;
use std::net::SocketAddr;

use live777_media::command::CommandError;
use pyo3::exceptions::{PyOSError, PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(live777py._media, EngineClosed, PyRuntimeError, "A command after `Engine.close()`.");

/// The code and the text of a refused command.
pub fn describe(error: CommandError) -> (&'static str, &'static str) {
    match error {
        CommandError::UnknownId => ("unknown_id", "no object has this id"),
        CommandError::IdInUse => ("id_in_use", "another object has this id"),
        CommandError::InvalidState => ("invalid_state", "not possible in the present state, or its worker has ended"),
        CommandError::InvalidArgument => ("invalid_argument", "the arguments contradict each other"),
        CommandError::LimitReached => ("limit_reached", "a limit of the engine is reached"),
        CommandError::NoSocket => ("no_socket", "no UDP socket could be bound"),
    }
}

/// A command came after `close()`.
pub fn closed() -> PyErr {
    EngineClosed::new_err("the engine is closed")
}

/// An argument is malformed. `why` must not contain a secret.
pub fn invalid(argument: &str, why: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("{argument}: {why}"))
}

/// `OSError` with errno, and as its filename the protocol and the address where one is at fault. Python picks the subclass.
pub fn system(py: Python<'_>, error: &io::Error, place: Option<(&str, SocketAddr)>) -> PyErr {
    let Some(errno) = error.raw_os_error() else { return PyOSError::new_err(error.to_string()) };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (errno,))?.extract::<String>());
    match (text, place) {
        (Ok(text), Some((protocol, address))) => PyOSError::new_err((errno, text, format!("{protocol} {address}"))),
        (Ok(text), None) => PyOSError::new_err((errno, text)),
        (Err(error), _) => error,
    }
}

/// An integer argument whose range error is a `ValueError`, as of any other malformed argument.
pub struct Number<T>(pub T);

impl<'a, 'py, T> FromPyObject<'a, 'py> for Number<T>
where
    T: FromPyObject<'a, 'py>,
{
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.extract().map(Self).map_err(|error: T::Error| {
            let error = error.into();
            if error.is_instance_of::<PyOverflowError>(object.py()) {
                return PyValueError::new_err(format!("{} is out of range", error_value(object)));
            }
            error
        })
    }
}

fn error_value(object: Borrowed<'_, '_, PyAny>) -> String {
    object.str().map_or_else(|_| String::from("the number"), |text| text.to_string())
}
