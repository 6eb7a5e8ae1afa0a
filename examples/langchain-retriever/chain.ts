/**
 * A question becomes the prompt that a model answers from the records that were found. From examples/README.md, with
 * the environment that it sets, and after another example has filled the store:
 *
 *   node examples/langchain-retriever/chain.ts "Which printer is on fire?"
 */
import type { DocumentInterface } from "@langchain/core/documents";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnableLambda, RunnablePassthrough, RunnableSequence } from "@langchain/core/runnables";
import { type TidemarkMetadata, TidemarkRetriever } from "./tidemark-retriever.ts";

const [question] = process.argv.slice(2);
if (!question) throw new Error("Ask something.");

const retriever = new TidemarkRetriever(
  {
    url: setting("TIDEMARK_URL"),
    apiKey: setting("TIDEMARK_READER_KEY"),
    organizationId: setting("TIDEMARK_ORGANIZATION"),
    vectorStoreId: setting("TIDEMARK_STORE"),
  },
  { k: 3 },
);

const prompt = ChatPromptTemplate.fromMessages([
  ["system", "Answer from these records alone, and name those that you used.\n\n{records}"],
  ["human", "{question}"],
]);

/** The passages, each under where it is from. */
const formatted = RunnableLambda.from((documents: DocumentInterface<TidemarkMetadata>[]) =>
  documents
    .map(({ pageContent, metadata }) => `[${metadata.namespace}/${metadata.id}]\n${pageContent}`)
    .join("\n\n"),
);

// Stands in for a chat model: it answers with what it would be sent. Put yours here, such as `new ChatOpenAI()`.
const model = RunnableLambda.from((value: Awaited<ReturnType<typeof prompt.invoke>>) => value.toString());

const chain = RunnableSequence.from([
  { records: retriever.pipe(formatted), question: new RunnablePassthrough<string>() },
  prompt,
  model,
  new StringOutputParser(),
]);
console.log(await chain.invoke(question));

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`Set ${name}: see examples/README.md.`);
  return value;
}
