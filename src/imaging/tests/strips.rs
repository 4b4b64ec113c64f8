//! TIFFs whose strips are as long as the picture, and those of which strips or tiles are missing.

use super::*;

/// A fixture of which strips or tiles from `first` on are missing, as where the writer has died.
fn missing(name: &str, first: u64) -> (Header, Vec<u8>) {
    let mut file = fixture(name);
    let header = header_of(&file).unwrap();
    let sniff::Layout::Tiff(layout) = &header.layout else { panic!("a TIFF") };
    for table in [layout.levels[0].offsets, layout.levels[0].lengths] {
        let from = table.place(first).unwrap()..table.bytes().unwrap().end;
        file[from.start as usize..from.end as usize].fill(0);
    }
    (header, file)
}

fn bands(file: &[u8], header: &Header) -> Result<Vec<Pixels>, ImagingError> {
    let master = Box::new(Cursor::new(file.to_vec()));
    decode::bands(master, header, &Limits::default(), &Hints::new(header))?.rows.collect()
}

#[test]
fn a_tiff_whose_writer_died_is_no_picture() {
    let cases = [("deflate-tiles.tif", 0), ("lzw.tif", 0), ("jpeg-strips.tif", 1)].map(|(name, first)| {
        let (header, file) = missing(name, first);
        let told = made(&file, &whole(&header)).unwrap_err().to_string();
        assert_eq!(bands(&file, &header).unwrap_err().to_string(), told, "{name}");
        format!("{name} up to {first}: {told}")
    });
    insta::assert_snapshot!(cases.join("\n"), @r"
    deflate-tiles.tif up to 0: the master is broken: a TIFF of which no tile was written
    lzw.tif up to 0: the master is broken: strip or tile 0 is empty
    jpeg-strips.tif up to 1: the master is broken: strip or tile 1 is empty
    ");
}
