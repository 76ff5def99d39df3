//! What a session's players agree on, as one hash: a seed of the session's address, and what a join names.

use wmq_world::layout::SESSION_IDS;

use crate::{
    instruction::Agreed,
    tree::{sha256, Hash},
};

/// Goes in front, so that the hash is none of anything else.
const DOMAIN: &[u8] = b"wmq session terms 1";

impl Agreed<'_> {
    /// sha256(`DOMAIN` | id | ids | start | opponent | validator), numbers little-endian.
    pub fn hash(&self) -> Hash {
        let mut ids = [[0; 2]; SESSION_IDS];
        for (bytes, id) in ids.iter_mut().zip(self.ids) {
            *bytes = id.to_le_bytes();
        }
        let id = self.id.to_le_bytes();
        sha256(&[DOMAIN, &id, ids.as_flattened(), self.start, self.opponent, self.validator])
    }
}
