//! What was committed is there when the log is opened again.

use std::sync::Arc;

use dunlin_log::{Log, MemoryDisk, Options, Urgency};

#[test]
fn what_was_committed_is_there() {
    let disk = MemoryDisk::default();
    let options = Options {
        segment_bytes: 300,
        ..Options::default()
    };
    let mut expected = Vec::new();
    for round in 0..3u8 {
        let mut seen = Vec::new();
        let log = Log::open(
            Arc::new(disk.clone()),
            options.clone(),
            &mut |_, r| {
                seen.push(r.to_vec());
                Ok(())
            },
            &mut |_| (),
        )
        .unwrap();
        assert_eq!(seen, expected);
        for i in 0..20u8 {
            let record = vec![round, i, 1, 2, 3];
            let a = log.append(&record, Urgency::Now);
            expected.push(record);
            assert!(a.position > log.committed());
            if i % 3 == 0 {
                while log.commit().unwrap() {}
                assert_eq!(log.committed(), a.position);
            }
        }
        while log.commit().unwrap() {}
        println!("{:?} {} {:?}", log.segments(), log.bytes(), log.counts());
    }
}
