
// What the live test adds to the settings that MediaWiki's installer wrote.
$wgServer = getenv('WIKI_SERVER');
$wgEnableUploads = true;
$wgUploadDirectory = getenv('WIKI_DIR') . '/images';
$wgUploadPath = '/images';
$wgCacheDirectory = getenv('WIKI_DIR') . '/cache';
$wgFileExtensions = ['jpg', 'png', 'tif', 'webp'];
// No thumbnails are asked for, so no image library is needed.
$wgMaxImageArea = 1;
// Nothing happens behind the test's back.
$wgJobRunRate = 0;
