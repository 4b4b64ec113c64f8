//! LZW as TIFF writes it.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

use weezl::decode::Decoder;
use weezl::{BitOrder, LzwStatus};

/// Undoes LZW while reading (*TIFF 6.0, section 13*).
pub(super) struct Lzw<R> {
    source: R,
    decoder: Decoder,
}

impl<R: BufRead> Lzw<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, decoder: Decoder::with_tiff_size_switch(BitOrder::Msb, 8) }
    }
}

impl<R: BufRead> Read for Lzw<R> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize> {
        loop {
            let packed = self.source.fill_buf()?;
            let ended = packed.is_empty();
            let step = self.decoder.decode_bytes(packed, target);
            self.source.consume(step.consumed_in);
            match step.status {
                Err(error) => return Err(Error::new(ErrorKind::InvalidData, error)),
                Ok(_) if step.consumed_out > 0 || target.is_empty() => return Ok(step.consumed_out),
                Ok(LzwStatus::Done) => return Ok(0),
                Ok(LzwStatus::NoProgress) if ended => return Ok(0),
                Ok(_) => {}
            }
        }
    }
}
