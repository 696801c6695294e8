//! Declares the classes that Python only reads: frozen, every field an attribute, and a repr as Python writes it.

use std::collections::BTreeMap;

/// `record! { /// Text. Name { field: type, ... } }`
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[pyo3::pyclass(frozen, get_all, module = "live777py._media")]
        #[derive(Clone)]
        pub struct $name { $($field: $type),* }

        impl crate::record::Show for $name {
            fn show(&self) -> String {
                self.__repr__()
            }
        }

        #[pyo3::pymethods]
        impl $name {
            fn __repr__(&self) -> String {
                let fields = [$(format!("{}={}", stringify!($field), crate::record::Show::show(&self.$field))),*];
                format!("{}({})", stringify!($name), fields.join(", "))
            }
        }
    };
}

pub(crate) use record;

/// A value as a Python literal.
pub trait Show {
    fn show(&self) -> String;
}

macro_rules! shown_by_debug {
    ($($type:ty),*) => { $(impl Show for $type { fn show(&self) -> String { format!("{self:?}") } })* };
}

shown_by_debug!(u8, u16, u32, u64, usize, f64, String, &str);

impl Show for bool {
    fn show(&self) -> String {
        String::from(if *self { "True" } else { "False" })
    }
}

impl Show for BTreeMap<&'static str, u64> {
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> String {
        let values: Vec<String> = self.iter().map(Show::show).collect();
        format!("[{}]", values.join(", "))
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| String::from("None"), Show::show)
    }
}

#[cfg(test)]
mod tests {
    use super::Show;

    #[test]
    fn values_read_as_in_python() {
        assert_eq!(Some(true).show(), "True");
        assert_eq!(None::<f64>.show(), "None");
        assert_eq!(Some(String::from("hi")).show(), "\"hi\"");
        assert_eq!(1.0_f64.show(), "1.0");
        assert_eq!(vec![true, false].show(), "[True, False]");
        assert_eq!(super::BTreeMap::from([("late", 2)]).show(), r#"{"late": 2}"#);
    }
}
