//! The built plugins are components of the contract's worlds, and import nothing else.

use std::{collections::BTreeSet, fs, path::Path};

use wit_bindgen_core::wit_parser::{
    Resolve, WorldItem, WorldKey,
    decoding::{DecodedWasm, decode},
};

#[test]
fn built_plugins_export_their_world() {
    for (plugin, interface, grants) in [
        ("acl-pattern", "acl", &[][..]),
        ("auth-http", "auth", &["http"]),
        ("auth-jwt", "auth", &["crypto"]),
        ("auth-scram", "auth", &["random"]),
        ("bridge-map", "bridge", &[]),
        ("filter-json", "filter", &[]),
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
        let component = fs::read(file.join(format!("{plugin}.wasm"))).expect("it is built");
        let DecodedWasm::Component(resolve, world) = decode(&component).expect("it is WebAssembly")
        else {
            panic!("{plugin} is not a component");
        };
        let world = &resolve.worlds[world];
        let exports = names(&resolve, world.exports.iter());
        let expected = ["plugin", interface].map(|name| format!("dunlin:plugin/{name}@0.1.0"));
        assert_eq!(exports, BTreeSet::from(expected), "{plugin}");

        let always = ["types", "log", "metrics", "clock"];
        let allowed: BTreeSet<String> = always
            .iter()
            .chain(grants)
            .map(|name| format!("dunlin:plugin/{name}@0.1.0"))
            .collect();
        let imports = names(&resolve, world.imports.iter());
        assert!(imports.is_subset(&allowed), "{plugin} imports {imports:?}");
        for grant in grants {
            let name = format!("dunlin:plugin/{grant}@0.1.0");
            assert!(imports.contains(&name), "{plugin} does not use {grant}");
        }
    }
}

fn names<'a>(
    resolve: &Resolve,
    items: impl Iterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> BTreeSet<String> {
    items.map(|(key, _)| resolve.name_world_key(key)).collect()
}
