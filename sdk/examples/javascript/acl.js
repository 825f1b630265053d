// An ACL plugin in JavaScript: topics that begin with a prefix are denied.

let prefix;

export const plugin = {
  describe() {
    return JSON.stringify({
      name: "acl-javascript",
      version: "0.1.0",
      schema: {
        type: "object",
        required: ["prefix"],
        properties: { prefix: { type: "string" } },
        additionalProperties: false,
      },
    });
  },

  // What it throws is the error that the operator sees.
  configure(config) {
    prefix = JSON.parse(config).prefix;
    if (typeof prefix !== "string") throw "prefix is not a string";
  },
};

export const acl = {
  authorize(_client, questions) {
    return questions.map(({ topic }) => ({
      effect: topic.startsWith(prefix) ? "deny" : "next",
      ttlMs: 60_000,
    }));
  },
};
