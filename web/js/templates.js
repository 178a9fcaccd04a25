import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

// ComfyUI lists a pack's templates as the file system does, on Linux in no order at all.

const [, PACK] = new URL(import.meta.url).pathname.match(/\/extensions\/([^/]+)\//);

app.registerExtension({
  name: "stylusmusicstyletransfer.templates",

  setup() {
    const { getWorkflowTemplates } = api;
    api.getWorkflowTemplates = async function () {
      const packs = await getWorkflowTemplates.call(this);
      packs[decodeURIComponent(PACK)]?.sort();
      return packs;
    };
  },
});
