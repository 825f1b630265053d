//! What is encoded decodes to itself, for every packet in every version.

use dunlin_codec::{PacketType, Properties, PropertiesBuf, PropertyPlace, encode};
use proptest::prelude::*;

use crate::arbitrary::material;
use crate::table::{both_ways, encoded};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn encode_then_decode(material in material()) {
        let packet = material.packet();
        let bytes = encoded(material.version, &packet);
        both_ways(material.version, &bytes, &packet);
    }

    #[test]
    fn packets_in_a_row_come_out_one_by_one(materials in prop::collection::vec(material(), 2..6)) {
        let version = materials[0].version;
        let same = || materials.iter().filter(|material| material.version == version);
        let mut stream = Vec::new();
        for material in same() {
            encode(&material.packet(), version, &mut stream).expect("the packet has an encoding");
        }
        let mut rest = &stream[..];
        for material in same() {
            let decoded = dunlin_codec::decode(rest, version, u32::MAX);
            let Ok(dunlin_codec::Decoded::Packet { packet, length }) = decoded else {
                panic!("{decoded:?}");
            };
            prop_assert_eq!(packet, material.packet());
            rest = &rest[length..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn properties_rebuilt_from_their_values_are_the_same_bytes(material in material()) {
        let place = PropertyPlace::Packet(PacketType::Publish);
        let forwarded = material.will_properties.as_properties();
        let mut bytes = Vec::new();
        forwarded.copy_forwarded(&mut bytes);
        if let Ok(properties) = Properties::parse(&bytes, place) {
            let mut rebuilt = PropertiesBuf::new();
            for property in properties.iter() {
                rebuilt.push(property).expect("in range");
            }
            prop_assert_eq!(rebuilt.as_properties(), properties);
        }
    }
}
