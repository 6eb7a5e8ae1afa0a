/** True in `npm run test:long`, where tests with random input or faults run longer. */
export const LONG = process.env.TIDEMARK_TEST_LONG === "1";
