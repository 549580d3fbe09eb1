// Texts in a dialog whose contrast is below what WCAG asks for at AA: 4.5, and 3 for large ones.
(dialog) => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);

  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
      if (colour[3] > 0) return null;
    }
    return [255, 255, 255];
  };

  return [...document.querySelectorAll(`${dialog} *`)]
    .filter((one) => one.checkVisibility({ opacityProperty: true }))
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
    .filter((one) => !one.closest("svg, .disabled"))
    .map((one) => {
      const style = getComputedStyle(one);
      const behind = ground(one);
      if (!behind) return null;
      const [a, b] = [luminance(numbers(style.color)), luminance(behind)].sort((x, y) => y - x);
      const size = parseFloat(style.fontSize);
      const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
      const ratio = (a + 0.05) / (b + 0.05);
      return ratio < needed ? `${ratio.toFixed(2)}: ${one.outerHTML.slice(0, 120)}` : null;
    })
    .filter(Boolean);
}
