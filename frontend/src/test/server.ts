import { setupServer } from 'msw/node'
import { answer, refuse } from '@/test/api'

/** Each test says what the API answers; a request nobody expected fails it. What every page asks is answered here. */
export const server = setupServer(
  answer('GET /health', { status: 'healthy', version: '0.1.0', instance: 'i1', detail: null }),
  answer('GET /api/approvals', []),
  answer('GET /api/triggers', []),
  answer('GET /api/pipelines/:id/triggers', []),
  // No assistant is set up.
  answer('GET /api/assistant', { on: false, note: 'None is set up.', host: null, model: null }),
  answer('GET /api/ai/projects', []),
  // Of an execution that nothing is to be said of.
  refuse('GET /api/executions/:id/explain', 409, { code: 'not_failed' }),
)
