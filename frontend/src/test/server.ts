import { setupServer } from 'msw/node'

/** Each test says what the API answers; a request nobody expected fails it. */
export const server = setupServer()
