import { setupServer } from 'msw/node'
import { answer } from '@/test/api'

/** Each test says what the API answers; a request nobody expected fails it. What every page asks is answered here. */
export const server = setupServer(
  answer('GET /health', { status: 'healthy', version: '0.1.0', instance: 'i1', detail: null }),
  answer('GET /api/approvals', []),
)
