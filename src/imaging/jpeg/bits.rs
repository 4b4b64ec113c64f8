//! Bits of a scan, its stuffing taken out already.

use memchr::memchr;

/// What a single unit of a scan may take at most is 2,480 bytes: ten blocks of 64 codes with their values, 31 bits
/// each.
pub(super) const LONGEST_UNIT: usize = 4096;

/// Bytes in memory at a time: most of a first-level cache.
const BYTES: usize = 32 << 10;

/// Bits that [`Bits::refill`] brings to hand at least.
pub(super) const AT_HAND: u32 = 56;

/// Bytes behind the last one that can be read, as words are read whole.
const MARGIN: usize = 8;

/// Clean bytes, and up to 64 bits of them at hand.
pub(super) struct Bits {
    bytes: Box<[u8]>,
    end: usize,
    /// The next byte to bring to hand.
    at: usize,
    /// The bits at hand, from the highest one on. What lies below the count is what follows, or zero.
    word: u64,
    count: u32,
}

impl Bits {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BYTES + MARGIN].into(), end: 0, at: 0, word: 0, count: 0 }
    }

    /// All bits of a scan in memory, up to the marker that ends it.
    pub(super) fn of(mut scan: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(scan.len() + MARGIN);
        loop {
            let clean = memchr(0xff, scan).unwrap_or(scan.len());
            bytes.extend_from_slice(&scan[..clean]);
            let [0xff, 0, after @ ..] = &scan[clean..] else { break };
            bytes.push(0xff);
            scan = after;
        }
        let end = bytes.len();
        bytes.resize(end + MARGIN, 0);
        Self { bytes: bytes.into(), end, at: 0, word: 0, count: 0 }
    }

    /// The bytes in memory, and eight more that mean nothing.
    pub(super) fn whole(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        (self.end, self.at, self.word, self.count) = (0, 0, 0, 0);
        self.seal();
    }

    /// Bits taken since the first byte in memory.
    pub(super) fn taken(&self) -> usize {
        self.at * 8 - self.count as usize
    }

    /// The bytes of which something is taken or all.
    pub(super) fn used(&self) -> &[u8] {
        &self.bytes[..(self.taken() / 8).min(self.end)]
    }

    /// Whether more was taken than there was.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.taken() > self.end * 8
    }

    /// Whether the bytes in memory are enough for any unit.
    #[inline(always)]
    pub(super) fn is_ample(&self) -> bool {
        self.at + LONGEST_UNIT <= self.end
    }

    /// Makes room for more bytes.
    pub(super) fn drop_used(&mut self) {
        let used = self.used().len();
        self.bytes.copy_within(used..self.end, 0);
        self.end -= used;
        self.at -= used;
        self.seal();
    }

    /// Room behind the bytes in memory.
    pub(super) fn room(&self) -> usize {
        BYTES - self.end
    }

    /// Puts as many bytes behind those in memory as there is room for.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.room())];
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        self.seal();
    }

    /// Nothing stale may come to hand behind the last byte: what is appended later is laid over it.
    fn seal(&mut self) {
        self.bytes[self.end..self.end + MARGIN].fill(0);
    }

    /// Brings at least [`AT_HAND`] bits to hand; zeros, where no more are in memory.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = self.bytes.get(self.at..self.at + 8).and_then(|next| next.first_chunk());
        self.word |= next.map_or(0, |next| u64::from_be_bytes(*next)) >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= AT_HAND;
    }

    /// The bits at hand, from the highest one on.
    #[inline(always)]
    pub(super) fn word(&self) -> u64 {
        self.word
    }

    /// Takes some of the bits at hand, 63 at most.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) {
        self.word <<= bits & 63;
        self.count = self.count.wrapping_sub(bits);
    }
}
