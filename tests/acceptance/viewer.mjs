// Does the gateway's output open in a real viewer?  OpenSeadragon in Debian's Chromium, on a
// page from another origin, opens the first image service of a manifest (3.0 or 2.1).
//
// Usage: viewer.mjs PACKAGE GATEWAY_BASE MANIFEST_URL SCREENSHOT.png
//
// The package is the OpenSeadragon of today, or the one that the viewers built on it bring with them. // The browser is $CHROMIUM, else /usr/bin/chromium.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { chromium } from 'playwright-core';

const [name, base, manifest, screenshot] = process.argv.slice(2);
if (!screenshot) throw new Error('usage: node viewer.mjs PACKAGE GATEWAY_BASE MANIFEST_URL SCREENSHOT.png');

const modules = path.join(import.meta.dirname, 'node_modules');
const script = fs.readFileSync(path.join(modules, name, 'build/openseadragon/openseadragon.min.js'));
// crossOriginPolicy: the browser then refuses tiles without CORS headers, and the page may read
// pixels back. No animation, no fade: what stands there at the event is final.
const html = `<!doctype html><link rel="icon" href="data:,"><body style="margin:0">
<div id="v" style="width:1200px;height:800px"></div><script src="/osd.js"></script><script>
const viewer = OpenSeadragon({ id: 'v', drawer: 'canvas', showNavigationControl: false,
  crossOriginPolicy: 'Anonymous', animationTime: 0, blendTime: 0 });</script>`;
const pages = http.createServer((request, answer) => {
  const js = request.url === '/osd.js';
  answer.setHeader('content-type', js ? 'text/javascript' : 'text/html; charset=utf-8').end(js ? script : html);
});
await new Promise((done) => pages.listen(0, '127.0.0.1', done)); // a port of its own: another origin
const whole = new Set(); // addresses that came with 200
const faults = [];
let browser, levels = [];
try {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // Root has no sandbox; the rest keeps Chromium from asking for a network that isn't there.
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  page.on('console', (m) => m.type() === 'error' && faults.push(m.text()));
  page.on('requestfailed', (r) => faults.push(`${r.url()}: ${r.failure()?.errorText}`));
  page.on('response', (r) => (r.status() === 200 ? whole.add(r.url()) : faults.push(`${r.url()}: ${r.status()}`)));
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
  const look = page.evaluate(async (url) => {
    const doc = await (await fetch(url)).json();
    const image = doc.items?.[0].items[0].items[0].body ?? doc.sequences[0].canvases[0].images[0].resource;
    const service = [image.service].flat()[0];
    await new Promise((done, fail) => {
      viewer.addOnceHandler('open', done);
      viewer.addOnceHandler('open-failed', (e) => fail(new Error(`open-failed: ${e.message}`)));
      viewer.open(`${service.id ?? service['@id']}/info.json`);
    });
    const tiled = viewer.world.getItemAt(0), { source } = tiled;
    const frame = () => new Promise((done) => {
      viewer.addOnceHandler('update-viewport', done);
      viewer.forceRedraw();
    });
    const loaded = () => new Promise((done) => {
      if (tiled.getFullyLoaded()) return done();
      const change = ({ fullyLoaded }) => fullyLoaded && (tiled.removeHandler('fully-loaded-change', change), done());
      tiled.addHandler('fully-loaded-change', change);
    });
    const levels = [];
    // From the largest level that is one tile up to the deepest one by one: a jump would leave out what lies between.
    for (let level = source.getClosestLevel(); level <= source.maxLevel; level++) {
      viewer.viewport.zoomTo(tiled.imageToViewportZoom(source.getLevelScale(level)), null, true);
      await frame(); // "fully loaded" speaks of the old zoom until a frame has asked for the new tiles
      await loaded();
      const { x, y } = source.getNumTiles(level), scale = source.getLevelScale(level);
      const tiles = (side, tile) => Math.ceil(Math.ceil(side * scale) / tile);
      // Sizes that a viewer takes for levels have to be these.
      if (x !== tiles(source.width, source.getTileWidth(level)) || y !== tiles(source.height, source.getTileHeight(level))) {
        throw new Error(`level ${level} is thought to have ${x} × ${y} tiles`);
      }
      levels.push(Array.from({ length: x * y }, (_, n) => source.getTileUrl(level, n % x, Math.floor(n / x))));
    }
    await frame(); // the last tile is painted in the frame after its arrival
    const { canvas } = viewer.drawer;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const colours = new Set(); let holes = 0; // the canvas is transparent where no tile was painted
    for (let n = 0; n < 1024; n++) { // a grid of 32 × 32 over the viewer, where the picture is
      const at = new OpenSeadragon.Point((n % 32 + 0.5) * 1200 / 32, (Math.floor(n / 32) + 0.5) * 25);
      const spot = tiled.viewerElementToImageCoordinates(at);
      if (spot.x < 1 || spot.y < 1 || spot.x > source.width - 2 || spot.y > source.height - 2) continue;
      const [r, g, b, a] = pixels.data.slice(4 * (Math.floor(at.y) * canvas.width + Math.floor(at.x)));
      a === 255 ? colours.add(`${r},${g},${b}`) : holes++;
    }
    return { levels, holes, colours: colours.size };
  }, manifest);
  // A picture that never comes is a fault, not a test that hangs.
  const seen = await Promise.race([look, new Promise((_, fail) => setTimeout(fail, 60_000, new Error('not loaded in 60 s')))]);
  levels = seen.levels;
  levels.forEach((urls, n) => urls.some((url) => url.startsWith(base) && whole.has(url)) || faults.push(`level ${n} of them: no tile came from ${base}`));
  if (seen.holes || seen.colours < 2) faults.push(`canvas: ${seen.holes} unpainted samples, ${seen.colours} colours`);
  await page.screenshot({ path: screenshot });
} catch (error) {
  faults.push(error.message.split('\n')[0]);
}
await browser?.close();
pages.close();
const came = levels.map((urls) => `${urls.filter((url) => whole.has(url)).length}/${urls.length}`).join(' ');
console.log(`${faults.length ? 'FAIL' : 'ok'} ${name} ${manifest}: tiles by level ${came || '-'}${faults.map((f) => `; ${f}`).join('')}`);
process.exit(faults.length ? 1 : 0);
