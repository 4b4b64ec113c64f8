<?php
// PHP's own web server in front of a MediaWiki: uploaded files come from the wiki's folder, with
// byte ranges as any web server in production gives them; everything else is MediaWiki's.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (strpos($path, '/images/') !== 0) {
    return false;
}
$file = realpath(getenv('WIKI_DIR') . rawurldecode($path));
if ($file === false || !is_file($file)) {
    http_response_code(404);
    return true;
}
$size = filesize($file);
[$from, $to] = [0, $size - 1];
if (preg_match('/^bytes=(\d+)-(\d*)$/', $_SERVER['HTTP_RANGE'] ?? '', $range)) {
    $from = (int) $range[1];
    $to = $range[2] === '' ? $to : min($to, (int) $range[2]);
    if ($from > $to) {
        http_response_code(416);
        return true;
    }
    http_response_code(206);
    header("Content-Range: bytes $from-$to/$size");
}
header('Content-Type: ' . mime_content_type($file));
header('Accept-Ranges: bytes');
header('Content-Length: ' . ($to - $from + 1));
$in = fopen($file, 'rb');
fseek($in, $from);
echo stream_get_contents($in, $to - $from + 1);
return true;
