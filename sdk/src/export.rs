//! The macros that make a component of a plugin.
//!
//! Natively they only check that the type implements what it must. The functions that they export
//! are named by the interface, so one crate exports one plugin.

/// Makes an `acl-plugin` of a type that implements [`Acl`](crate::Acl).
#[macro_export]
macro_rules! acl {
    ($plugin:ty) => {
        $crate::__export!(
            $plugin,
            Acl,
            acl,
            __export_dunlin_plugin_acl_0_1_0_cabi,
            ACL_PLUGIN
        );
    };
}

/// Makes an `auth-plugin` of a type that implements [`Auth`](crate::Auth).
#[macro_export]
macro_rules! auth {
    ($plugin:ty) => {
        $crate::__export!(
            $plugin,
            Auth,
            auth,
            __export_dunlin_plugin_auth_0_1_0_cabi,
            AUTH_PLUGIN
        );
    };
}

/// Makes a `bridge-plugin` of a type that implements [`Bridge`](crate::Bridge).
#[macro_export]
macro_rules! bridge {
    ($plugin:ty) => {
        $crate::__export!(
            $plugin,
            Bridge,
            bridge,
            __export_dunlin_plugin_bridge_0_1_0_cabi,
            BRIDGE_PLUGIN
        );
    };
}

/// Makes a `filter-plugin` of a type that implements [`Filter`](crate::Filter).
#[macro_export]
macro_rules! filter {
    ($plugin:ty) => {
        $crate::__export!(
            $plugin,
            Filter,
            filter,
            __export_dunlin_plugin_filter_0_1_0_cabi,
            FILTER_PLUGIN
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:ty, $trait:ident, $interface:ident, $cabi:ident, $world:ident) => {
        const _: fn() = || {
            fn implements<P: $crate::$trait>() {}
            implements::<$plugin>();
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            // Private, as the plugin may be.
            struct Exported;

            impl $crate::guest::Holder for Exported {
                type Plugin = $plugin;

                fn with<R>(work: impl FnOnce(&mut Option<$plugin>) -> R) -> R {
                    INSTANCE.with_borrow_mut(work)
                }
            }

            // Tells the linker what the component imports and exports.
            #[unsafe(link_section = "component-type:dunlin-sdk")]
            static COMPONENT_TYPE: [u8; $crate::guest::$world.len()] = *$crate::guest::$world;

            type Guest = $crate::guest::$trait<Exported>;
            $crate::__export_dunlin_plugin_plugin_0_1_0_cabi!(
                Guest with_types_in $crate::guest::bindings::exports::dunlin::plugin::plugin
            );
            $crate::$cabi!(
                Guest with_types_in $crate::guest::bindings::exports::dunlin::plugin::$interface
            );
        };
    };
}
