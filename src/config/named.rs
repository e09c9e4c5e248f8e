//! Enumerations whose values have names in the configuration.

/// A type whose values have names in the configuration.
pub trait Named: Copy + 'static {
    /// Every value, in the order of the documentation.
    fn all() -> Vec<NamedValue<Self>>;

    /// The name of this value.
    fn name(self) -> &'static str;
}

/// A value with its name and documentation.
pub struct NamedValue<T> {
    /// The name in the configuration.
    pub name: &'static str,
    /// The value.
    pub value: T,
    /// The documentation of the value.
    pub doc: &'static str,
}

/// Declares an enumeration with the names of its values in the configuration. The documentation of a value is also its
/// help.
macro_rules! named {
    (
        $(#[$doc:meta])*
        $Type:ident { $($(#[doc = $value_doc:literal])+ $value:ident = $name:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Type { $($(#[doc = $value_doc])+ $value,)* }

        impl $crate::config::named::Named for $Type {
            fn all() -> Vec<$crate::config::named::NamedValue<$Type>> {
                vec![$($crate::config::named::NamedValue {
                    name: $name,
                    value: $Type::$value,
                    doc: concat!($($value_doc),+),
                },)*]
            }

            fn name(self) -> &'static str {
                self.as_str()
            }
        }

        impl $Type {
            /// The name in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $($Type::$value => $name,)* }
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(super) use named;
