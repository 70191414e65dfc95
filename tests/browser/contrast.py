"""Contrast and overflow of a page."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

# For each visible text: its contrast to the first opaque background behind it, by WCAG 2's definition
# ((L1 + 0.05) / (L2 + 0.05), L the relative luminance). Disabled controls, and text that only screen readers get, are
# left out.
_CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (node) => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(node).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (!text || !node.checkVisibility() || node.closest(".unseen, .skip, :disabled")) continue;
    const [ink, paper] = [channels(getComputedStyle(node).color), background(node)].map(luminance);
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    found.push({ text: text.slice(0, 40), contrast });
  }
  return found;
}"""


def contrasts(page: Page) -> list[dict[str, Any]]:
    """`{text, contrast}` of every visible text; contrast is 1 (invisible) to 21."""
    found: list[dict[str, Any]] = page.evaluate(_CONTRASTS)
    return found


def overflow(page: Page) -> int:
    """CSS pixels that the page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
