"""How a page looks: whether its text can be told from what it stands on."""

from playwright.sync_api import Page

_FAINT = """() => {
    const parts = (colour) => (colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = (rgb) => rgb.slice(0, 3).map((value) => value / 255).map((value) =>
        value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    ).reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (one) => {
        for (; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const one = walker.currentNode.parentElement;
        const style = getComputedStyle(one);
        if (!walker.currentNode.textContent.trim() || !one.checkVisibility({ visibilityProperty: true })) continue;
        if (one.closest(":disabled, style, script, noscript")) continue;
        const [text, paper] = [light(parts(style.color)), light(behind(one))];
        const ratio = (Math.max(text, paper) + 0.05) / (Math.min(text, paper) + 0.05);
        const large = parseFloat(style.fontSize) >= (style.fontWeight >= 700 ? 18.66 : 24);
        if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(1)}: ${walker.currentNode.textContent.trim()}`);
    }
    return found;
}"""


def faint(page: Page) -> list[str]:
    """Texts on the page, each with its contrast, that have less of it than WCAG 2.2 asks (AA: 4.5, large ones 3)."""
    return list(page.evaluate(_FAINT))
