//! PDFs, written object by object.

/// A PDF on its way.
#[derive(Default)]
pub struct Book {
    objects: Vec<Vec<u8>>,
    pages: Vec<usize>,
    catalogue: String,
}

impl Book {
    /// The catalogue and the list of pages come first.
    const FIRST: usize = 3;

    /// A book of one page of these points, with this drawn on it.
    pub fn of_page((width, height): (u32, u32), content: &str) -> Vec<u8> {
        let mut book = Self::default();
        book.page(&format!("/MediaBox [0 0 {width} {height}]"), content);
        book.finish()
    }

    /// Adds an object, and says by which number others know it.
    pub fn add(&mut self, object: impl AsRef<[u8]>) -> usize {
        self.objects.push(object.as_ref().to_vec());
        self.objects.len() + Self::FIRST - 1
    }

    /// Adds data with a dictionary.
    pub fn stream(&mut self, entries: &str, data: &[u8]) -> usize {
        let head = format!("<< {entries} /Length {} >>\nstream\n", data.len());
        self.add([head.as_bytes(), data, b"\nendstream"].concat())
    }

    /// Adds a page with these entries, that draws this.
    pub fn page(&mut self, entries: &str, content: &str) {
        let content = self.stream("", content.as_bytes());
        self.page_of(entries, content);
    }

    /// Adds a page that draws what this object says.
    pub fn page_of(&mut self, entries: &str, content: usize) {
        let page = self.add(format!("<< /Type /Page /Parent 2 0 R /Contents {content} 0 R {entries} >>"));
        self.pages.push(page);
    }

    /// Adds entries to the catalogue.
    pub fn tell(&mut self, entries: &str) {
        self.catalogue += entries;
    }

    /// The file, with its table of objects and its end.
    pub fn finish(self) -> Vec<u8> {
        self.finish_with("")
    }

    /// The same with more entries in its trailer.
    pub fn finish_with(self, trailer: &str) -> Vec<u8> {
        let kids: String = self.pages.iter().map(|page| format!("{page} 0 R ")).collect();
        let catalogue = format!("<< /Type /Catalog /Pages 2 0 R {} >>", self.catalogue);
        let pages = format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", self.pages.len());
        let objects = [catalogue.into_bytes(), pages.into_bytes()].into_iter().chain(self.objects);
        let (mut file, mut places) = (b"%PDF-1.7\n".to_vec(), Vec::new());
        for (number, object) in (1..).zip(objects) {
            places.push(file.len());
            file.extend(format!("{number} 0 obj\n").bytes());
            file.extend(object);
            file.extend(b"\nendobj\n");
        }
        let (table, size) = (file.len(), places.len() + 1);
        file.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").bytes());
        places.iter().for_each(|place| file.extend(format!("{place:010} 00000 n \n").bytes()));
        let end = format!("trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n");
        file.extend(end.bytes());
        file
    }
}
