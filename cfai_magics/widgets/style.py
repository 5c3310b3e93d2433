"""Provide the panel's style sheet, with theme colors and a color for each usage level."""

# Each pair is a fill color and a text color, with a contrast ratio of at least 4.5:1. The contrast
# ratio between the fill color and the background is at least 3:1 in both themes. These ratios are
# checked in tests/widgets/test_style.py.
LEVEL_COLORS = {
    "green": ("#22883f", "#ffffff"),
    "amber": ("#b97700", "#000000"),
    "red": ("#d92f2f", "#ffffff"),
}

PANEL_CSS = """
.cfai-panel { container-type: inline-size; width: 100%; max-width: 1100px; padding: 4px 2px;
  font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  font-size: var(--jp-ui-font-size1, 13px); }
.cfai-panel .widget-label, .cfai-panel .widget-label-basic, .cfai-panel .widget-html-content,
.cfai-panel input, .cfai-panel textarea, .cfai-panel select, .cfai-panel .jupyter-button,
.cfai-panel .widget-readout, .cfai-panel table { font-family: inherit; font-size: 1em; }
.cfai-panel .cfai-section { border: 1px solid var(--jp-border-color1, #8888); border-radius: 6px;
  padding: 8px 14px 12px; margin: 0 0 10px; overflow: hidden; }
.cfai-panel .jupyter-widgets { width: auto; max-width: 100%; margin-left: 0; margin-right: 0; }
.cfai-panel .widget-html, .cfai-panel .widget-html-content { min-width: 0; min-height: 0;
  height: auto; line-height: 1.45; overflow-wrap: anywhere; white-space: normal; }
.cfai-heading { font-size: 1.25em; font-weight: 600; color: var(--jp-ui-font-color1, inherit); }
.cfai-note, .cfai-detail, .cfai-clock, .cfai-steps { color: var(--jp-ui-font-color1, inherit); }
.cfai-good { font-weight: 600; }
.cfai-bad { font-weight: 600; border-left: 4px solid RED; padding-left: 8px; }
.cfai-steps { margin: 4px 0; padding-left: 1.4em; }
.cfai-panel a { color: var(--jp-content-link-color, LinkText); text-decoration: underline; }

.cfai-panel .widget-inline-hbox { flex-direction: column; align-items: stretch; height: auto; }
.cfai-panel .widget-inline-hbox > .widget-label { width: auto; text-align: left; height: auto;
  line-height: 1.5; overflow: visible; white-space: normal;
  color: var(--jp-ui-font-color1, inherit); }
.cfai-panel .widget-checkbox .widget-label-basic { white-space: normal; overflow: visible;
  line-height: 1.5; }
.cfai-panel .cfai-row { flex-flow: row wrap; gap: 4px 16px; align-items: flex-end;
  overflow: visible; }
.cfai-panel .cfai-head { flex-flow: row wrap; gap: 4px 16px; align-items: center; }
.cfai-panel .cfai-row > .widget-text, .cfai-panel .cfai-row > .widget-dropdown,
.cfai-panel .cfai-row > .widget-slider { flex: 1 1 220px; min-width: 0; }
.cfai-panel .cfai-row > .cfai-short { flex: 0 1 320px; }
.cfai-panel .cfai-row > .widget-checkbox { flex: 0 1 auto; min-width: 0; }
.cfai-panel .cfai-head > .widget-html { flex: 0 1 auto; }
.cfai-panel .cfai-wide { width: 100%; }
.cfai-panel input:not([type=checkbox]), .cfai-panel textarea, .cfai-panel select {
  border: 1px solid var(--jp-ui-font-color2, #666); color: var(--jp-ui-font-color1, inherit); }
.cfai-panel input::placeholder, .cfai-panel textarea::placeholder {
  color: var(--jp-ui-font-color2, #666); opacity: 1; }
.cfai-panel .cfai-invalid input { border: 2px solid RED; }
.cfai-panel .cfai-slider { display: none; }
.cfai-panel .widget-slider { flex-flow: row wrap; align-items: center; }
.cfai-panel .widget-slider > .widget-label { flex: 1 0 100%; }
.cfai-panel .widget-slider > .slider-container { flex: 1 1 80px; margin: 8px 10px; }
.cfai-panel .noUi-handle { border: 1px solid var(--jp-ui-font-color2, #666); }
.cfai-panel .widget-slider > .widget-readout { flex: none; width: auto; min-width: 3.5em;
  color: var(--jp-ui-font-color1, inherit); }
.cfai-panel input:focus-visible, .cfai-panel textarea:focus-visible,
.cfai-panel select:focus-visible, .cfai-panel button:focus-visible,
.cfai-panel .noUi-handle:focus-visible {
  outline: 2px solid var(--jp-brand-color1, Highlight); outline-offset: 1px; }
.cfai-panel .jupyter-button { width: auto; height: auto; min-height: 30px; padding: 4px 14px;
  line-height: 1.4; white-space: normal; border: 1px solid var(--jp-ui-font-color2, #666);
  background: var(--jp-layout-color2, ButtonFace); color: var(--jp-ui-font-color1, ButtonText); }

.cfai-panel .widget-dropdown > select { height: 28px; flex: none; appearance: auto;
  background-image: none; }
.cfai-panel .cfai-models > select, .cfai-panel .cfai-models > .widget-label {
  font-family: var(--jp-code-font-family, monospace); }
.cfai-panel .cfai-models select { flex: none; height: 15.6em; padding: 2px;
  overflow-y: auto; }
.cfai-panel .cfai-models option { white-space: normal; overflow-wrap: anywhere; line-height: 1.5;
  min-height: 1.5em; padding: 0 4px 0 2.4em; text-indent: -2em; }
.cfai-panel .cfai-models > .widget-label { padding-left: calc(2.4em + 3px);
  text-indent: -2em; font-weight: 600; }

.cfai-gauge { --cfai-ground: var(--jp-layout-color0, Canvas); }
.cfai-figure { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 10px;
  font-size: 1.15em; color: var(--jp-ui-font-color1, inherit); }
.cfai-big { font-size: 2.1em; font-weight: 650; font-variant-numeric: tabular-nums; }
.cfai-chip { border-radius: 999px; padding: 1px 12px; font-weight: 600; }
.cfai-bar { display: flex; height: 22px; margin: 6px 0; border-radius: 4px; overflow: hidden;
  background: var(--cfai-ground); border: 1px solid var(--jp-ui-font-color2, #666); }
.cfai-part { height: 100%; box-sizing: border-box; flex: none; }
.cfai-legend { display: flex; flex-wrap: wrap; gap: 2px 20px; list-style: none; margin: 4px 0;
  padding: 0; color: var(--jp-ui-font-color1, inherit); font-variant-numeric: tabular-nums; }
.cfai-legend li { margin: 0; }
.cfai-swatch { display: inline-block; width: 22px; height: 13px; margin-right: 7px;
  vertical-align: -1px; box-sizing: border-box; border: 1px solid var(--jp-ui-font-color2, #666); }
.cfai-billed { background: var(--cfai-level); }
.cfai-elsewhere { background: var(--jp-border-color1, gray); }
.cfai-estimated { background: repeating-linear-gradient(135deg, var(--cfai-level) 0 4px,
  var(--cfai-ground) 4px 8px); }
.cfai-running { background: repeating-linear-gradient(90deg, var(--cfai-level) 0 2px,
  var(--cfai-ground) 2px 5px); }
.cfai-reserved { background: var(--jp-layout-color3, #8886); }
.cfai-panel table { border-collapse: collapse; color: var(--jp-ui-font-color1, inherit);
  font-variant-numeric: tabular-nums; }
.cfai-panel th, .cfai-panel td { padding: 2px 12px 2px 0; vertical-align: top;
  border-bottom: 1px solid var(--jp-border-color1, #8888); overflow-wrap: normal; }
.cfai-panel td:first-child { overflow-wrap: anywhere; min-width: 8em; }
.cfai-scroll { overflow-x: auto; }

/* Without smaller text, lines of the list wrap before the last column. */
@container (max-width: 640px) {
  .cfai-panel .cfai-models > select, .cfai-panel .cfai-models > .widget-label {
    font-size: 0.85em; }
}

/* A side area can be 190 px wide. In the proportional font, the spaces between columns shrink. */
@container (max-width: 480px) {
  .cfai-panel .cfai-section { padding: 6px 8px 8px; }
  .cfai-panel .cfai-row, .cfai-panel .cfai-head { gap: 4px 8px; }
  .cfai-panel .cfai-row > .widget-text, .cfai-panel .cfai-row > .widget-dropdown,
  .cfai-panel .cfai-row > .widget-slider, .cfai-panel .cfai-row > .cfai-short {
    flex: 1 1 100%; }
  .cfai-panel .jupyter-button { padding: 4px 8px; }
  .cfai-panel .cfai-models > select, .cfai-panel .cfai-models > .widget-label {
    font-family: inherit; font-size: 1em; }
  .cfai-panel .cfai-models option { padding-left: 1.2em; text-indent: -1em; }
  .cfai-panel .cfai-models > .widget-label { padding-left: 1.2em; text-indent: -1em; }
  .cfai-big { font-size: 1.6em; }
  .cfai-panel .cfai-chip { padding: 1px 8px; }
  .cfai-legend { gap: 2px 12px; }
  .cfai-panel td:first-child { min-width: 6em; }
}

@media (forced-colors: active) {
  .cfai-panel .cfai-gauge { --cfai-ground: Canvas; --cfai-level: Highlight; }
  .cfai-bar, .cfai-swatch { forced-color-adjust: none; border-color: CanvasText; }
  .cfai-reserved { background: GrayText; }
  .cfai-panel .cfai-chip { border: 1px solid CanvasText; }
}
"""


def render_stylesheet() -> str:
    """Return an HTML style element for the panel."""
    levels = "".join(
        f".cfai-{name} {{ --cfai-level: {fill}; }}\n"
        f".cfai-{name} .cfai-chip {{ background: {fill}; color: {text}; }}\n"
        for name, (fill, text) in LEVEL_COLORS.items()
    )
    return f"<style>{PANEL_CSS.replace('RED', LEVEL_COLORS['red'][0])}{levels}</style>"
