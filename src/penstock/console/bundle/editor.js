// The console's text editor: CodeMirror 6 with SQL and JSON, as one file that needs no build where Penstock is installed.
// Built once with `npm install && npm run build` in this folder; the result is static/vendor/editor.min.js.
import { autocompletion, acceptCompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { PostgreSQL, sql, SQLDialect } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

// DuckDB speaks PostgreSQL's SQL, and does not mind the case of a name: completed names need no quotes.
const DuckDB = SQLDialect.define({ ...PostgreSQL.spec, caseInsensitiveIdentifiers: true });

// Colours are the page's own variables, so that one rule serves light and dark.
const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.propertyName, color: "var(--code-name)" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--code-keyword)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
]);

const shape = EditorView.theme({
  "&": { backgroundColor: "var(--field)", color: "var(--ink)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--mono)", padding: "10px 0", caretColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--muted)", border: "none", fontFamily: "var(--mono)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "6px", overflow: "hidden" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12.5px" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "3px 10px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "inherit", opacity: "0.75", fontStyle: "normal" },
  ".cm-matchingBracket": { backgroundColor: "var(--selection) !important" },
});

// Typing over a selection is done here: the browser would copy the replaced text's looks into a style attribute, which the
// pages' content security policy forbids and reports.
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to, empty } = view.state.selection.main;
    if (event.inputType !== "insertText" || event.data === null || empty || view.composing) return false;
    const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    if (!view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, event.data, insert))) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

/** Put an editor in place of a textarea; its value goes on being the form's. */
export function edit(area, options) {
  const language = options.language === "sql"
    ? sql({ dialect: DuckDB, schema: options.schema || {}, upperCaseKeywords: true })
    : options.language === "json" ? json() : [];
  const run = (view) => { closeCompletion(view); options.onRun?.(); return true; };
  const view = new EditorView({
    doc: area.value,
    extensions: [
      Prec.highest(keymap.of([{ key: "Mod-Enter", run }])),
      options.nonce ? EditorView.cspNonce.of(options.nonce) : [],
      typeOver, highlightSpecialChars(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(),
      options.language === "sql" ? autocompletion({ icons: false }) : [], // Its icons are signs that few fonts have.
      lineNumbers(),
      EditorState.tabSize.of(2),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ tabindex: "0", "aria-label": options.label || area.getAttribute("aria-label") || "Text" }),
      // Tab leaves the editor, so that nobody is caught in it; it takes a completion where one is shown.
      keymap.of([{ key: "Tab", run: acceptCompletion }, ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap]),
      language, shape, syntaxHighlighting(colours),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) { area.value = view.state.doc.toString(); area.dispatchEvent(new Event("input", { bubbles: true })); }
      }),
    ],
  });
  area.hidden = true;
  area.insertAdjacentElement("afterend", view.dom);
  return {
    view,
    get text() { return view.state.doc.toString(); },
    set text(value) { view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } }); },
    insert(value) { view.dispatch(view.state.replaceSelection(value)); view.focus(); },
    focus() { view.focus(); },
  };
}
