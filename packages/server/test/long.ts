/** True in `npm run test:long`: tests with random input or faults then take their time. */
export const LONG = process.env.TIDEMARK_TEST_LONG === "1";
