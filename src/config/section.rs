//! The macros that declare the keys of a section.

/// Declares a section of the configuration: a struct, and a key for each field.
///
/// ```text
/// section! {
///     /// How a model is trained.
///     TrainConfig: "train" {
///         /// The documentation of the key, in rustdoc and in the help.
///         batch: usize = Setting { default: 128, rule: 1..=INDEX, resume: MustStay };
///     }
/// }
/// ```
///
/// The declaration of a field can end in `, known as NAMES` with names of the setting in other programs, `, written if
/// CONDITION` for a key that the written configuration otherwise omits, and `, then ENTRIES` for keys that follow.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $Section:ident: $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $Type:ty = $declaration:expr
                $(, known as $names:expr)?
                $(, written if $condition:expr)?
                $(, then $more:expr)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Section {
            $($(#[doc = $doc])+ pub $field: $Type,)*
        }

        impl $Section {
            /// Reads each key. Rules that depend on several keys are not checked.
            fn read_keys(
                document: &$crate::config::document::Document,
            ) -> $crate::error::Result<$Section> {
                use $crate::config::entry::Declaration;
                Ok($Section {
                    $($field: $declaration.read(document, $section, stringify!($field))?,)*
                })
            }

            /// The entries of the section, in the order of the written configuration.
            pub(crate) fn entries() -> Vec<$crate::config::entry::Entry<$Section>> {
                use $crate::config::entry::Declaration;
                let mut entries = Vec::new();
                $(
                    let of_field = $declaration.entries(
                        $section,
                        stringify!($field),
                        concat!($($doc, "\n"),+),
                        |section: &$Section| &section.$field,
                    );
                    entries.extend(
                        of_field
                            .into_iter()
                            $(.map(|entry| entry.known_as(&$names)))?
                            $(.map(|entry| entry.written_if($condition)))?,
                    );
                    $(entries.extend($more);)?
                )*
                entries
            }
        }
    };
}

/// Declares keys that make one value together, such as an enumeration: a function for each that reads it, and `entries`.
///
/// ```text
/// keys! {
///     Schedule: "train" {
///         /// The documentation of the key.
///         decay: f64 = Setting { .. }, of |schedule| schedule.decay();
///     }
/// }
/// ```
///
/// `of` is followed by the value of the key; none where it has no effect.
macro_rules! keys {
    (
        $Whole:ty: $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $Type:ty = $setting:expr $(, known as $names:expr)?, of $value:expr;
            )*
        }
    ) => {
        $(
            fn $key(document: &$crate::config::document::Document) -> $crate::error::Result<$Type> {
                use $crate::config::entry::Declaration;
                let setting: $crate::config::setting::Setting<$Type> = $setting;
                setting.read(document, $section, stringify!($key))
            }
        )*

        /// The entries of these keys, in the order of the written configuration.
        pub(crate) fn entries() -> Vec<$crate::config::entry::Entry<$Whole>> {
            use $crate::config::{entry::Entry, setting::KeyValue};
            vec![$({
                let setting: $crate::config::setting::Setting<$Type> = $setting;
                let key = setting.key($section, stringify!($key), concat!($($doc, "\n"),+));
                let value: fn(&$Whole) -> Option<$Type> = $value;
                Entry::new(key, move |whole| value(whole)?.to_toml())$(.known_as(&$names))?
            },)*]
        }
    };
}

pub(super) use {keys, section};
