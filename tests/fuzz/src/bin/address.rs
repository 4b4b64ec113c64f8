//! Paths of requests: what is understood prints to what means the same, and fits the image or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loggia::iiif::address::{Address, Parameters};
use loggia::iiif::image::Version;
use loggia::iiif::image::geometry::{Limits, Upscale};
use loggia::iiif::image::request::ImageRequest;

const IMAGES: [(u32, u32); 5] = [(1, 1), (6144, 4096), (1, u32::MAX), (u32::MAX, 3), (u32::MAX, u32::MAX)];

fuzz_target!(|path: &str| {
    let Ok(address) = Address::parse(path) else { return };
    let printed = address.to_string();
    assert_eq!(Address::parse(&printed).as_ref(), Ok(&address), "`{printed}` means something else");
    if let Address::Image { version, parameters, .. } = &address
        && let Ok(request) = ImageRequest::parse(*version, parameters)
    {
        image(*version, request);
    }
});

fn image(version: Version, request: ImageRequest) {
    let printed = request.to_string();
    assert_eq!(reread(version, &printed), request, "`{printed}` means something else");
    let bounded = Limits {
        max_width: Some(1000),
        max_height: None,
        max_area: Some(1 << 20),
        upscale: Upscale::Refused,
    };
    for limits in [Limits::default(), bounded] {
        for image in IMAGES {
            let Ok(geometry) = request.resolve(version, image, &limits) else { continue };
            let crop = geometry.crop;
            assert!(
                geometry.width > 0 && geometry.height > 0 && crop.width > 0 && crop.height > 0,
                "{geometry:?}"
            );
            assert!(u64::from(crop.x) + u64::from(crop.width) <= u64::from(image.0), "{crop:?} of {image:?}");
            assert!(
                u64::from(crop.y) + u64::from(crop.height) <= u64::from(image.1),
                "{crop:?} of {image:?}"
            );
        }
    }
}

fn reread(version: Version, printed: &str) -> ImageRequest {
    let mut parts = printed.split('/').map(str::to_owned);
    let mut part = || parts.next().expect("a request prints as four segments");
    let parameters = Parameters { region: part(), size: part(), rotation: part(), quality_format: part() };
    ImageRequest::parse(version, &parameters).expect("what was printed parses")
}
