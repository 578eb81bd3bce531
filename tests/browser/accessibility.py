"""A page as a screen reader gets it, Chromium's accessibility tree, and the contrast of every text."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from playwright.sync_api import Page

CONTROLS = {"button", "link", "textbox", "searchbox", "checkbox", "combobox", "radio", "DisclosureTriangle", "Date"}
LANDMARKS = {"banner", "main", "navigation", "search", "form", "region", "complementary", "contentinfo"}
LEAST_CONTRAST = 4.5

# Every visible text with the contrast to what is behind it, as the browser has computed both.
_FAINT = """
(least) => {
  const read = (color) => {
    const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = read(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return read(matchMedia("(prefers-color-scheme: dark)").matches ? "#000" : "#fff");
  };
  const faint = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    const disabled = element.closest("button:disabled");
    if (!text || disabled || !element.checkVisibility() || element.closest("script, style, noscript")) continue;
    const [one, other] = [light(read(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    texts += 1;
    if (contrast < least) faint.push(`${text.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return texts ? faint : ["no text at all"];
}
"""


@dataclass(frozen=True)
class Node:
    """One node of the tree: what a screen reader says."""

    role: str
    name: str
    properties: dict[str, Any] = field(default_factory=dict)


def tree(page: Page) -> list[Node]:
    """All that is not hidden, in the order of the page."""
    session = page.context.new_cdp_session(page)
    session.send("Accessibility.enable")
    found = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [_node(each) for each in found if not each["ignored"]]


def _node(each: dict[str, Any]) -> Node:
    properties = {known["name"]: known["value"].get("value") for known in each.get("properties", [])}
    return Node(each["role"]["value"], each.get("name", {}).get("value", ""), properties)


def nameless(nodes: list[Node]) -> list[str]:
    """The roles of controls without a name."""
    return [node.role for node in nodes if node.role in CONTROLS and not node.name.strip()]


def headings(nodes: list[Node]) -> list[int]:
    """Their levels, in order."""
    return [node.properties["level"] for node in nodes if node.role == "heading"]


def are_in_order(levels: list[int]) -> bool:
    """One title first, and no level left out on the way down."""
    steps = all(deeper <= level + 1 for level, deeper in pairwise(levels))
    return levels[:1] == [1] and levels.count(1) == 1 and steps


def landmarks(nodes: list[Node]) -> list[str]:
    """Where one can jump to."""
    return [node.role for node in nodes if node.role in LANDMARKS]


def faint(page: Page) -> list[str]:
    """Texts that are too close in colour to what is behind them."""
    found: list[str] = page.evaluate(_FAINT, LEAST_CONTRAST)
    return found
