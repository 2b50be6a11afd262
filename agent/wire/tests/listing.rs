//! Lists of files: what was written is read, in whatever pieces it comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use sockerless_agent_wire::{
    listing::{Damaged, Listed, Reader},
    request::{Name, Request},
};

fn listed() -> impl Strategy<Value = Listed> {
    let text = || proptest::collection::vec(any::<u8>(), 0..60);
    let time = || (any::<i64>(), any::<u32>());
    (text(), any::<[u32; 3]>(), any::<[u64; 2]>(), time(), time(), any::<bool>(), text()).prop_map(
        |(path, [mode, uid, gid], [size, inode], modified, changed, closed, target)| Listed {
            path,
            mode,
            uid,
            gid,
            size,
            modified,
            changed,
            inode,
            closed,
            target,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in proptest::collection::vec(listed(), 0..20), size in 1usize..300) {
        let mut bytes = Vec::new();
        all.iter().for_each(|listed| listed.encode(&mut bytes));
        let (mut reader, mut read) = (Reader::default(), Vec::new());
        for piece in bytes.chunks(size) {
            reader.push(piece);
            while let Some(listed) = reader.take().unwrap() {
                read.push(listed);
            }
        }
        prop_assert_eq!(read, all);
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn nonsense_is_no_list(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::default();
        reader.push(&bytes);
        // Whatever it says, it comes to an end.
        while let Ok(Some(_)) = reader.take() {}
    }

    #[test]
    fn names_are_told_whether_they_are_text_or_not(names in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5)) {
        let names: Vec<Name> = names.into_iter().map(Name).collect();
        let request = Request::Pick { path: "/a".into(), names };
        let json = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(serde_json::from_str::<Request>(&json).unwrap(), request);
    }
}

#[test]
fn a_list_that_breaks_off_is_not_taken_for_whole() {
    let mut bytes = Vec::new();
    Listed { path: b"a".to_vec(), ..Listed::default() }.encode(&mut bytes);
    let mut reader = Reader::default();
    reader.push(&bytes[..bytes.len() - 1]);
    assert_eq!((reader.take(), reader.finish()), (Ok(None), Err(Damaged)));
    reader.push(&bytes[bytes.len() - 1..]);
    assert!(reader.take().unwrap().is_some());
    assert_eq!(reader.finish(), Ok(()));
    reader.push(&u32::MAX.to_le_bytes());
    assert_eq!(reader.take(), Err(Damaged));
}
