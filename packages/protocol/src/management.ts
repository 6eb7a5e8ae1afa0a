import { type Static, type TSchema, Type } from "typebox";
import { anyObject } from "./any-object.ts";
import { ApiKeyId, ConnectorId, OrganizationId, VectorStoreId } from "./identifiers.ts";
import { LIMITS } from "./limits.ts";

const Name = Type.String({ minLength: 1, maxLength: LIMITS.nameCodePoints });
const Description = Type.String({ maxLength: LIMITS.descriptionCodePoints });
const Time = Type.String({ format: "date-time" });
const TimeOrNull = Type.Union([Time, Type.Null()]);

export const Role = Type.Enum(["connector", "reader", "admin"]);
export type Role = Static<typeof Role>;

export const Organization = Type.Object({
  id: OrganizationId,
  object: Type.Literal("organization"),
  name: Name,
  created_at: Time,
});
export type Organization = Static<typeof Organization>;

/** Languages whose words search stems; `none` does not stem. */
export const LANGUAGES = [
  ...["none", "arabic", "armenian", "bulgarian", "danish", "dutch", "english", "finnish", "french", "german"],
  ...["greek", "hungarian", "indian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian"],
  ...["portuguese", "romanian", "russian", "sanskrit", "serbian", "spanish", "swedish", "tamil", "turkish"],
  "ukrainian",
] as const;
export type Language = (typeof LANGUAGES)[number];

/** Limits of a store's settings. */
export const SETTINGS_LIMITS = {
  /** Paths of one member. */
  paths: 100,
  /** Unicode code points of a path. */
  pathCodePoints: 255,
  chunkTokensMin: 32,
  chunkTokensMax: 2000,
} as const;

const DataPath = Type.String({ minLength: 1, maxLength: SETTINGS_LIMITS.pathCodePoints });
const DataPaths = Type.Array(DataPath, { maxItems: SETTINGS_LIMITS.paths });

/** The settings of a store. Each type includes `null` instead of a union, so that a wrong value is one error. */
const settingsMembers = {
  text_fields: orNull<string[]>(
    DataPaths,
    "Dotted paths in `data` whose strings, numbers and booleans are searched. Default: all.",
  ),
  title_field: orNull<string>(
    DataPath,
    "Dotted path of the title, with which every chunk begins. Default: the first field with a usual name (`title`, `name`, `summary`, `subject` …).",
  ),
  metadata_fields: orNull<string[]>(
    DataPaths,
    "Dotted paths in `data` that filters can use but search ignores. Default: none.",
  ),
  chunk_tokens: orNull<number>(
    Type.Integer({ minimum: SETTINGS_LIMITS.chunkTokensMin, maximum: SETTINGS_LIMITS.chunkTokensMax }),
    "Approximate number of tokens of a chunk. Default: 300.",
  ),
  chunk_overlap: orNull<number>(
    Type.Integer({ minimum: 0, maximum: SETTINGS_LIMITS.chunkTokensMax / 2 }),
    "Number of tokens that a chunk repeats from the one before; less than half of `chunk_tokens`. Default: 0.",
  ),
  language: Type.Optional(
    Type.Unsafe<Language | null>({
      enum: [...LANGUAGES, null],
      description: "The language in which words are stemmed. Default: `english`.",
    }),
  ),
};

function orNull<T>(schema: TSchema & { type: string }, description: string) {
  return Type.Optional(Type.Unsafe<T | null>({ ...schema, type: [schema.type, "null"], description }));
}

/** How a store's records become searchable text. `null` resets a member to its default. */
export const SetVectorStoreSettings = Type.Object(settingsMembers, { additionalProperties: false });
export type SetVectorStoreSettings = Static<typeof SetVectorStoreSettings>;

export const VectorStore = Type.Object({
  id: VectorStoreId,
  object: Type.Literal("vector_store"),
  name: Name,
  description: Type.Union([Description, Type.Null()]),
  organization_id: OrganizationId,
  record_count: Type.Integer({ minimum: 0 }),
  status: Type.Enum(["active"]),
  settings: anyObject({ description: "The settings that were set explicitly." }),
  created_at: Time,
  updated_at: Time,
});
export type VectorStore = Static<typeof VectorStore>;

export const CreateVectorStore = Type.Object(
  {
    name: Name,
    description: Type.Optional(Type.Union([Description, Type.Null()])),
    settings: Type.Optional(SetVectorStoreSettings),
  },
  { additionalProperties: false },
);
export type CreateVectorStore = Static<typeof CreateVectorStore>;

export const UpdateVectorStore = Type.Partial(CreateVectorStore, { additionalProperties: false });
export type UpdateVectorStore = Static<typeof UpdateVectorStore>;

export const ConnectorKey = Type.Object({
  id: ApiKeyId,
  prefix: Type.String({ description: "The beginning of the key, which identifies it." }),
  created_at: Time,
  last_used_at: TimeOrNull,
  expires_at: TimeOrNull,
  revoked_at: TimeOrNull,
});
export type ConnectorKey = Static<typeof ConnectorKey>;

const SecretKey = Type.String({ description: "The key itself. It is shown only once and never stored." });

export const NewConnectorKey = Type.Object({ ...ConnectorKey.properties, api_key: SecretKey });
export type NewConnectorKey = Static<typeof NewConnectorKey>;

/** A key of any role, as the command line lists it. */
export const ApiKey = Type.Object({
  ...ConnectorKey.properties,
  object: Type.Literal("api_key"),
  name: Type.Union([Name, Type.Null()]),
  role: Role,
  organization_id: OrganizationId,
  vector_store_id: Type.Union([VectorStoreId, Type.Null()]),
  connector_id: Type.Union([ConnectorId, Type.Null()]),
});
export type ApiKey = Static<typeof ApiKey>;

export const CreateKey = Type.Object(
  {
    expires_at: Type.Optional(
      Type.String({ format: "date-time", description: "When the key stops working. Absent: never." }),
    ),
  },
  { additionalProperties: false },
);
export type CreateKey = Static<typeof CreateKey>;

export const Connector = Type.Object({
  id: ConnectorId,
  object: Type.Literal("connector"),
  name: Name,
  organization_id: OrganizationId,
  vector_store_id: VectorStoreId,
  keys: Type.Array(ConnectorKey),
  created_at: Time,
});
export type Connector = Static<typeof Connector>;

export const NewConnector = Type.Object({ ...Connector.properties, api_key: SecretKey });
export type NewConnector = Static<typeof NewConnector>;

export const CreateConnector = Type.Object(
  { name: Name, vector_store_id: VectorStoreId },
  { additionalProperties: false },
);
export type CreateConnector = Static<typeof CreateConnector>;

export const UpdateConnector = Type.Object({ name: Type.Optional(Name) }, { additionalProperties: false });
export type UpdateConnector = Static<typeof UpdateConnector>;

export const Deleted = Type.Object({ id: Type.String(), object: Type.String(), deleted: Type.Literal(true) });
export type Deleted = Static<typeof Deleted>;

export const PageQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LIMITS.pageRows, default: LIMITS.pageRowsDefault }),
    ),
    cursor: Type.Optional(Type.String({ description: "`next_cursor` of the previous page." })),
  },
  { additionalProperties: false },
);

export const ListOf = <T extends TSchema>(item: T) =>
  Type.Object({
    object: Type.Literal("list"),
    data: Type.Array(item),
    has_more: Type.Boolean(),
    next_cursor: Type.Union([Type.String(), Type.Null()]),
  });

/** One page of a list. */
export interface List<T> {
  object: "list";
  data: T[];
  has_more: boolean;
  next_cursor: string | null;
}
