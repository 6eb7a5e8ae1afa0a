import { globSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

/** An installed package that explains itself, as a record. */
export interface Package {
  /** Where it lies below node_modules: the package's name, but for nested ones. */
  id: string;
  data: { name: string; version: string; description: string; text: string };
}

/** Every README.md below a folder, in a stable order, each with what the package.json above it says. */
export function readPackages(folder: URL): Package[] {
  return globSync("**/README.md", { cwd: folder })
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => {
      const id = dirname(path);
      const { name = id, version = "", description = "" } = readManifest(folder, id);
      return { id, data: { name, version, description, text: readFileSync(new URL(path, folder), "utf8") } };
    });
}

function readManifest(folder: URL, path: string): Partial<Package["data"]> {
  if (path === ".") return {};
  try {
    const manifest = JSON.parse(readFileSync(new URL(`${path}/package.json`, folder), "utf8"));
    if (manifest.name) return manifest;
  } catch {
    // Not every folder with a README is a package: the one above it may be.
  }
  return readManifest(folder, dirname(path));
}
