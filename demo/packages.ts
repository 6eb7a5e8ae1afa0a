import { globSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

/** An installed package that has a README, as a record. */
export interface Package {
  /** The path below node_modules. It is the package's name, except for nested packages. */
  id: string;
  data: { name: string; version: string; description: string; text: string };
}

/** Reads every README.md below a folder, in a stable order, each with the package.json of its package. */
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
    // A folder with a README may lack a package.json; then a folder above it is the package.
  }
  return readManifest(folder, dirname(path));
}
