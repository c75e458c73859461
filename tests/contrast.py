"""Finds text that stands out too little from what lies behind it, in a page that is open in a browser."""

from __future__ import annotations

CONTRAST = """() => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const paint = canvas.getContext('2d', {willReadFrequently: true});
  const rgba = (text) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = text; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data]; };
  const light = (c) => { const [r, g, b] = c.map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] > 250) return c; } return [255, 255, 255]; };
  const weak = [];
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    const onBar = e.closest('[class*="mark-text role-mark"]'); // its colours are checked with the palette
    if (!walk.currentNode.textContent.trim() || !e.checkVisibility() || onBar) continue;
    const svg = e.closest('svg');
    const ink = light(rgba(getComputedStyle(e)[svg ? 'fill' : 'color']).slice(0, 3));
    const paper = light(behind(svg ? svg.parentElement : e).slice(0, 3));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) weak.push(`${ratio.toFixed(2)}: ${walk.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return weak;
}"""
"""A function for ``page.evaluate``: what has a contrast below 4.5, and which."""
