//! How much the streams of a PDF hold when they are unpacked: a thousand times what they take in the file, if somebody
//! wants it so.

use std::borrow::Cow;
use std::collections::HashSet;

use flate2::{Decompress, FlushDecompress, Status};
use hayro::hayro_syntax::Filter;
use hayro::hayro_syntax::object::{Array, Dict, MaybeRef, Name, Object, ObjectIdentifier, Stream};
use hayro::hayro_syntax::page::{Page as Drawn, Resources};
use memchr::memmem;
use weezl::decode::Configuration;
use weezl::{BitOrder, LzwStatus};

use crate::imaging::{ImagingError, Limits};

/// Bytes that the text of a page, its letters and all that is no picture may hold.
pub(super) const ROOM: u64 = 64 << 20;

/// Objects that are looked at for one page.
const MOST_OBJECTS: usize = 500_000;

/// What surely takes less than this part of the room is not unpacked to see how much.
const MANY: u64 = 100;

/// The most that a byte becomes: a run of 258 bytes is told in two bits, a string of 4095 in twelve.
const BY_FLATE: u64 = 1032;
const BY_LZW: u64 = 2731;
const BY_RUNS: u64 = 64;

/// So often what a picture may have is gone through, packed and unpacked, to see what is in a page: by default about as
/// much as may be drawn in a minute.
const OFTEN: u64 = 6;

/// Refuses a file whose tables of objects hold more than anybody writes.
pub(super) fn check_structure(file: &[u8]) -> Result<(), ImagingError> {
    let (mut packed, mut unpacked) = (0, 0);
    for table in tables(file).filter(|table| table.len() as u64 * BY_FLATE > ROOM) {
        packed += table.len();
        if packed > file.len() {
            return Err(ImagingError::broken("a PDF with tables of objects within each other"));
        }
        unpacked += inflated(table, ROOM - unpacked);
        fits(unpacked, ROOM, "the tables of objects")?;
    }
    Ok(())
}

/// What lies between the marks of streams that call themselves tables of objects. They may overlap, as nobody says where
/// a stream begins but itself; no part of the file is searched more than once for each of the marks.
fn tables(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    /// So far behind its name the data of a stream begins, at most.
    const REACH: usize = 4096;
    let names = [memmem::Finder::new(b"/ObjStm"), memmem::Finder::new(b"/XRef")];
    let mut ends = memmem::find_iter(file, b"endstream").peekable();
    let mut searched = 0;
    memmem::find_iter(file, b"stream").filter_map(move |mark| {
        let near = &file[searched.max(mark.saturating_sub(REACH))..mark];
        searched = mark + b"stream".len();
        names.iter().find_map(|name| name.find(near))?;
        while ends.next_if(|end| *end < searched).is_some() {}
        let data = &file[searched..ends.peek().copied().unwrap_or(file.len())];
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        Some(data.strip_prefix(b"\n").unwrap_or(data))
    })
}

/// Refuses a page whose streams hold more than it may have.
pub(super) fn check(page: &Drawn<'_>, limits: &Limits) -> Result<(), ImagingError> {
    let (seen, next) = (HashSet::new(), Vec::new());
    let (picture, work) = (limits.memory, limits.memory.saturating_mul(OFTEN));
    let mut walk = Walk { page, seen, next, text: 0, picture, work };
    walk.next.extend(page.raw().get_raw::<Object<'_>>("Contents"));
    let notes = page.raw().get::<Array<'_>>("Annots").unwrap_or_default();
    walk.next.extend(notes.iter::<Dict<'_>>().filter_map(|note| note.get_raw::<Object<'_>>("AP")));
    // A page may have its resources from the whole book.
    let Resources { ext_g_states, fonts, properties, color_spaces, x_objects, patterns, shadings } =
        page.resources();
    for resources in [ext_g_states, fonts, properties, color_spaces, x_objects, patterns, shadings] {
        walk.follow(resources);
    }
    walk.run()
}

/// A look at everything that a page draws with.
struct Walk<'p, 'a> {
    page: &'p Drawn<'a>,
    seen: HashSet<ObjectIdentifier>,
    next: Vec<MaybeRef<Object<'a>>>,
    text: u64,
    /// Bytes that a picture may have.
    picture: u64,
    /// Bytes that may yet be gone through.
    work: u64,
}

impl<'a> Walk<'_, 'a> {
    fn run(mut self) -> Result<(), ImagingError> {
        let mut left = MOST_OBJECTS;
        while let Some(value) = self.next.pop() {
            left = left.checked_sub(1).ok_or_else(|| ImagingError::broken("a page of too many objects"))?;
            let object = match value {
                MaybeRef::NotRef(object) => Some(object),
                MaybeRef::Ref(name) if self.seen.insert(name.into()) => self.page.xref().get(name.into()),
                MaybeRef::Ref(_) => None,
            };
            match object {
                Some(Object::Dict(dict)) => self.follow(&dict),
                Some(Object::Array(array)) => self.next.extend(array.raw_iter()),
                Some(Object::Stream(stream)) => {
                    self.follow(stream.dict());
                    self.stream(&stream)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn follow(&mut self, dict: &Dict<'a>) {
        // These lead to other pages, and to what other programs keep in the file.
        let leads_away =
            |key: &[u8]| matches!(key, b"Parent" | b"P" | b"PieceInfo" | b"StructParent" | b"Metadata");
        self.next.extend(dict.entries().filter(|(key, _)| !leads_away(key)).map(|(_, value)| value));
    }

    fn stream(&mut self, stream: &Stream<'a>) -> Result<(), ImagingError> {
        if stream.dict().get::<Name<'_>>("Subtype").is_some_and(|name| &*name == b"Image") {
            let unpacked = self.unpacked(stream, self.picture)?;
            return fits(unpacked, self.picture, "a picture in the page");
        }
        self.text = self.text.saturating_add(self.unpacked(stream, ROOM)?);
        fits(self.text, ROOM, "the text of the page")
    }

    /// Bytes that a stream holds, at most; beyond the room it is not looked how much more.
    fn unpacked(&mut self, stream: &Stream<'_>, room: u64) -> Result<u64, ImagingError> {
        let mut data = stream.raw_data();
        self.work(data.len() as u64)?;
        // Once it was unpacked nobody has its bytes any more, but how many they are.
        let mut most = None;
        for filter in stream.filters() {
            let bytes = most.unwrap_or(data.len() as u64);
            let mut unpack = |by: u64, unpacked: fn(&[u8], u64) -> u64| {
                if most.is_some() || bytes.saturating_mul(by) <= room / MANY {
                    return Ok(bytes.saturating_mul(by));
                }
                let unpacked = unpacked(&data, room);
                self.work(unpacked.min(room)).and(Ok(unpacked))
            };
            match filter {
                Filter::AsciiHexDecode | Filter::Ascii85Decode if most.is_none() => {
                    self.work(data.len() as u64)?;
                    data = Cow::Owned(plain(&data, filter))
                }
                Filter::AsciiHexDecode | Filter::Ascii85Decode | Filter::Crypt => {}
                Filter::FlateDecode => most = Some(unpack(BY_FLATE, inflated)?),
                Filter::LzwDecode => most = Some(unpack(BY_LZW, unwound)?),
                Filter::RunLengthDecode => most = Some(bytes.saturating_mul(BY_RUNS)),
                // Pictures tell their size; the survey counts it.
                Filter::DctDecode | Filter::JpxDecode | Filter::CcittFaxDecode | Filter::Jbig2Decode => break,
            }
        }
        Ok(most.unwrap_or(data.len() as u64))
    }

    fn work(&mut self, bytes: u64) -> Result<(), ImagingError> {
        let limit = self.picture.saturating_mul(OFTEN);
        self.work = self.work.checked_sub(bytes).ok_or_else(|| ImagingError::TooLarge {
            what: "all that is in the page",
            found: format!("more than {limit} bytes, packed and unpacked"),
            limit,
            rule: "six times what a picture may hold",
        })?;
        Ok(())
    }
}

/// What was written in letters, as bytes. What is no such letter is passed over.
fn plain(data: &[u8], written: Filter) -> Vec<u8> {
    let end = |end: u8| data.split(|byte| *byte == end).next().unwrap_or_default();
    let mut bytes = Vec::with_capacity(data.len());
    if written == Filter::AsciiHexDecode {
        let digits: Vec<_> = end(b'>').iter().filter_map(|byte| char::from(*byte).to_digit(16)).collect();
        bytes.extend(digits.chunks(2).map(|pair| (pair[0] * 16 + pair.get(1).unwrap_or(&0)) as u8));
        return bytes;
    }
    let (mut group, mut count) = (0_u64, 0);
    for byte in end(b'~') {
        match byte {
            b'z' if count == 0 => bytes.extend([0; 4]),
            b'!'..=b'u' => (group, count) = (group * 85 + u64::from(byte - b'!'), count + 1),
            _ => {}
        }
        if count == 5 {
            bytes.extend((group as u32).to_be_bytes());
            (group, count) = (0, 0);
        }
    }
    if count > 1 {
        let full = (count..5).fold(group, |group, _| group * 85 + 84);
        bytes.extend(&(full as u32).to_be_bytes()[..count - 1]);
    }
    bytes
}

/// Bytes that are told by flate, counted as they come. What is no flate is nothing; but the renderer reads on where this
/// stops, so of what is damaged all is expected that there may be.
fn inflated(data: &[u8], room: u64) -> u64 {
    let has_head = matches!(data, [method, check, ..]
        if method & 15 == 8 && (u16::from(*method) << 8 | u16::from(*check)).is_multiple_of(31));
    let mut inflate = Decompress::new(has_head);
    let mut target = vec![0; 64 << 10];
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let rest = &data[(read as usize).min(data.len())..];
        let status = inflate.decompress(rest, &mut target, FlushDecompress::None);
        let stands = inflate.total_in() == read && inflate.total_out() == written;
        let left = rest.len() as u64;
        match status {
            _ if inflate.total_out() > room => return room + 1,
            Ok(Status::StreamEnd) => return inflate.total_out(),
            Ok(_) if !stands => {}
            _ => return inflate.total_out() + left.saturating_mul(BY_FLATE),
        }
    }
}

/// The same for LZW.
fn unwound(data: &[u8], room: u64) -> u64 {
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8).build();
    let (mut rest, mut total, mut target) = (data, 0, vec![0; 64 << 10]);
    loop {
        let step = decoder.decode_bytes(rest, &mut target);
        (rest, total) = (&rest[step.consumed_in..], total + step.consumed_out as u64);
        match step.status {
            _ if total > room => return room + 1,
            Ok(LzwStatus::Done) => return total,
            Ok(_) if step.consumed_in + step.consumed_out > 0 => {}
            _ => return total + (rest.len() as u64).saturating_mul(BY_LZW),
        }
    }
}

fn fits(bytes: u64, room: u64, what: &'static str) -> Result<(), ImagingError> {
    if bytes <= room {
        return Ok(());
    }
    let found = format!("{room} bytes and more when it is unpacked");
    Err(ImagingError::TooLarge { what, found, limit: room, rule: "what a page may hold" })
}
