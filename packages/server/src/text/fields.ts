import { LIMITS } from "@tidemark/protocol/limits";
import { textOf } from "./html-text.ts";
import type { TextSettings } from "./settings.ts";
import type { Section } from "./split-text.ts";
import { kindOf } from "./string-kind.ts";
import { isTitleName } from "./title.ts";
import { isLowSurrogate } from "./token-count.ts";

/** How much of one record is searched; the rest of a larger record is left out. */
const RECORD_LIMITS = {
  /** Values that are read. */
  values: 100_000,
  /** UTF-16 units of all texts. */
  characters: 4_000_000,
  /** UTF-16 units of the words that are not text. */
  wordsCharacters: 10_000,
  /** The numbers of a longer array are not searched: it is data, such as a vector. */
  numbersInArray: 32,
  /** UTF-16 units of a path that is compared with the settings, and of a path that is shown. */
  pathCharacters: 512,
  labelCharacters: 100,
} as const;

/** A one-line text up to this length is a line among the fields; a longer text is a section after them. */
const LINE_CHARACTERS = 200;
/** The texts of an array up to this length share one line. */
const ITEM_CHARACTERS = 60;

/** Members that hold a record's main text: a single one at the top level has no label. */
const BODY_NAMES = new Set(["text", "body", "content", "description", "markdown", "html", "message"]);

/** The texts at one path: several if the path goes through an array. */
interface Field {
  path: string;
  /** The path's last name. */
  name: string;
  texts: string[];
}

/** The searchable content of a record, field by field. */
export class Fields {
  /** The value at `title_field`; null if there is none. */
  namedTitle: string | null = null;

  readonly #settings: TextSettings;
  readonly #fields: Field[] = [];
  readonly #inArrays = new Map<string, Field>();
  readonly #words: string[] = [];
  #wordsName = "";
  #valuesLeft: number = RECORD_LIMITS.values;
  #charactersLeft: number = RECORD_LIMITS.characters;
  #wordsLeft: number = RECORD_LIMITS.wordsCharacters;

  constructor(data: Record<string, unknown>, settings: TextSettings) {
    this.#settings = settings;
    this.#readObject(data, "", settings.text_fields === null, false, 0);
  }

  /** Numbers, dates, URLs and other words that are searched but not shown, with their names. */
  words(): string {
    return this.#words.join(" ");
  }

  /** The texts in the order in which they are shown. @param titlePath the field that is the title and is left out */
  sections(titlePath: string | null): Section[] {
    const names: string[] = [];
    const lines: string[] = [];
    const texts: Section[] = [];
    const bodies: Section[] = [];
    for (const field of this.#fields) {
      if (field.path === titlePath) continue;
      const text = joinTexts(field);
      const label = labelOf(field.path);
      if (BODY_NAMES.has(field.path)) bodies.push({ label, text });
      else if (text.length > LINE_CHARACTERS || text.includes("\n")) texts.push({ label, text });
      else (isTitleName(field.name) ? names : lines).push(`${label}: ${text}`);
    }
    const head = [...names, ...lines];
    const lone = bodies.length === 1 ? [{ label: "", text: bodies.pop()!.text }] : [];
    return [
      ...(head.length > 0 ? [{ label: "", text: head.join("\n") }] : []),
      ...[...texts, ...bodies].map(({ label, text }) => ({
        label,
        text: `${label}:${text.includes("\n") ? "\n" : " "}${text}`,
      })),
      ...lone,
    ];
  }

  #readObject(object: object, path: string, isText: boolean, inArray: boolean, depth: number): void {
    for (const [name, value] of Object.entries(object)) {
      if (this.#valuesLeft === 0) return;
      const below = extendPath(path, name);
      const { text_fields, metadata_fields } = this.#settings;
      if (metadata_fields.includes(below)) continue;
      const isTextBelow = isText || text_fields!.includes(below);
      this.#read(value, below, name, isTextBelow, inArray, depth + 1);
    }
  }

  #read(value: unknown, path: string, name: string, isText: boolean, inArray: boolean, depth: number): void {
    if (this.#valuesLeft === 0) return;
    this.#valuesLeft--;
    if (typeof value === "object" && value !== null) {
      if (depth > LIMITS.jsonDepth) return;
      if (Array.isArray(value)) {
        const isData = value.length > RECORD_LIMITS.numbersInArray;
        for (const item of value) {
          if (isData && typeof item === "number") continue;
          this.#read(item, path, name, isText, true, depth + 1);
        }
      } else this.#readObject(value, path, isText, inArray, depth);
      return;
    }
    if (path === this.#settings.title_field && this.namedTitle === null) {
      if (typeof value === "number" || (typeof value === "string" && value.trim() !== "")) {
        this.namedTitle = String(value);
      }
    }
    if (!isText) return;
    if (typeof value === "string") this.#readString(value.trim(), path, name, inArray);
    else if (typeof value === "number") this.#addWords(name, String(value));
    // The name of a true flag is searched, that of a false one is not.
    else if (value === true) this.#addWords(name, "true");
  }

  #readString(value: string, path: string, name: string, inArray: boolean): void {
    const kind = kindOf(value);
    if (kind === "words") this.#addWords(name, value);
    if (kind !== "text" || this.#charactersLeft === 0) return;
    const text = cut(plainText(value), this.#charactersLeft);
    if (text === "") return;
    this.#charactersLeft -= text.length;
    let field = inArray ? this.#inArrays.get(path) : undefined;
    if (field === undefined) {
      field = { path, name, texts: [] };
      this.#fields.push(field);
      if (inArray) this.#inArrays.set(path, field);
    }
    field.texts.push(text);
  }

  #addWords(name: string, value: string): void {
    const words = name === this.#wordsName ? value : `${labelOf(name)} ${value}`;
    this.#wordsLeft -= words.length + 1;
    if (this.#wordsLeft < 0) return;
    this.#words.push(words);
    this.#wordsName = name;
  }
}

const extendPath = (path: string, name: string) =>
  path === "" ? name : path.length > RECORD_LIMITS.pathCharacters ? path : `${path}.${name}`;

/** A file embedded in a text. */
const DATA_URL = /data:[\w.+/-]{1,100};base64,[A-Za-z0-9+/=]*/g;

function plainText(value: string): string {
  let text = textOf(value);
  if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
  if (text.includes(";base64,")) text = text.replace(DATA_URL, "");
  return text;
}

/** Joins a field's texts: short ones in a line without repetitions, longer ones line by line. */
function joinTexts({ name, texts }: Field): string {
  if (texts.length === 1) return texts[0]!;
  if (BODY_NAMES.has(name) || texts.some((text) => text.length > ITEM_CHARACTERS)) return texts.join("\n");
  return [...new Set(texts)].join(", ");
}

const labelOf = (path: string) => cut(path, RECORD_LIMITS.labelCharacters).replace(/\s+/g, " ");

/** The first `characters` UTF-16 units of a text, without half a character. */
function cut(text: string, characters: number): string {
  if (text.length <= characters) return text;
  return text.slice(0, isLowSurrogate(text.charCodeAt(characters)) ? characters - 1 : characters);
}
