import { type HttpHandler, HttpResponse, type HttpResponseResolver, http } from 'msw'
import type { Schemas } from '@/lib/api'

/** Answers of the API by their routes, typed as the API describes them. */
type Answers = {
  'POST /api/auth/refresh': Schemas['TokenResponse']
  'GET /api/auth/setup': Schemas['SetupState']
  'GET /api/pipelines': Schemas['PipelineSummary'][]
  'GET /api/pipelines/:id': Schemas['PipelineDetail']
  'GET /api/pipelines/:id/versions': Schemas['PipelineVersion'][]
  'GET /api/pipelines/:id/versions/:version': Schemas['PipelineVersionDetail']
  'POST /api/pipelines': Schemas['PipelineDetail']
  'POST /api/pipelines/validate': Schemas['ValidationReport']
  'GET /api/pipelines/:id/versions/:version/diff/:other': Schemas['PipelineDiff']
  'POST /api/pipelines/:id/versions': Schemas['PipelineVersionDetail']
  'POST /api/pipelines/:id/versions/:version/publish': Schemas['PipelineDetail']
  'GET /api/executions': Schemas['ExecutionSummary'][]
  'GET /api/executions/:id': Schemas['ExecutionDetail']
  'GET /api/executions/:id/logs': Schemas['LogLine'][]
  'GET /api/executions/:id/stages/:stage': Schemas['StageRunDetail']
  'GET /api/executions/:id/stages/:stage/items': Schemas['ItemBody'][]
  'GET /api/executions/:id/stages/:stage/table': Schemas['TablePreview']
  'GET /api/artifacts/:id/preview': Schemas['TablePreview']
  'GET /health': Schemas['Health']
  'GET /api/about': Schemas['About']
  'GET /api/admin/drain': Schemas['DrainBody']
  'POST /api/admin/drain': Schemas['DrainBody']
  'GET /api/approvals': Schemas['ApprovalBody'][]
  'GET /api/pools': Schemas['PoolBody'][]
  'GET /api/workers': Schemas['WorkerBody'][]
  'POST /api/workers/:id/drain': Schemas['WorkerBody']
  'GET /api/metrics/queue': Schemas['QueueBody'][]
  'GET /api/logs': Schemas['LogLine'][]
  'POST /api/executions/retry': Schemas['BulkResponse']
  'POST /api/executions/cancel': Schemas['BulkResponse']
  'POST /api/pipelines/:id/resume': Schemas['PipelineDetail']
  'POST /api/pipelines/:id/pause': Schemas['PipelineDetail']
  'GET /api/suggestions': Schemas['SuggestionBody'][]
  'GET /api/suggestions/:id': Schemas['SuggestionDetail']
  'GET /api/insights': Schemas['InsightBody'][]
  'GET /api/ai': Schemas['AiBody']
  'GET /api/executions/:id/explain': Schemas['ExplanationBody']
  'GET /api/assistant': Schemas['AssistantBody']
  'GET /api/ai/maintenance': Schemas['WindowBody'][]
  'POST /api/ai/maintenance': Schemas['WindowBody']
  'POST /api/ai/maintenance/:id/end': Schemas['WindowBody']
  'GET /api/ai/projects': Schemas['ProjectBody'][]
  'GET /api/executions/:id/assistant': Schemas['SentBody']
  'POST /api/executions/:id/assistant': Schemas['AssistantAnswer']
  'POST /api/assistant/draft': Schemas['DraftBody']
  'POST /api/assistant/draft/preview': Schemas['SentBody']
  'GET /api/triggers': Schemas['TriggerBody'][]
  'GET /api/pipelines/:id/triggers': Schemas['TriggerBody'][]
  'GET /api/pipelines/:id/triggers/:trigger/firings': Schemas['FiringBody'][]
  'POST /api/pipelines/:id/triggers/:trigger/pause': Schemas['TriggerBody']
  'POST /api/pipelines/:id/triggers/:trigger/resume': Schemas['TriggerBody']
  'POST /api/pipelines/:id/triggers/:trigger/backfill': Schemas['BackfillBody']
  'GET /api/metrics': Schemas['MetricsBody']
  'GET /api/metrics/history': Schemas['MetricsHistory']
}

/** The route answers with `body`, or with what `body` makes of the request. */
export function answer<Route extends keyof Answers>(
  route: Route,
  body: Answers[Route] | ((request: Request) => Answers[Route] | Promise<Answers[Route]>),
): HttpHandler {
  return handler(route, async ({ request }) =>
    HttpResponse.json(typeof body === 'function' ? await body(request) : body),
  )
}

/** The route answers with an error. */
export function refuse(
  route: string,
  status: number,
  body: Partial<Schemas['ErrorResponse']> = {},
): HttpHandler {
  return handler(route, () =>
    HttpResponse.json({ detail: 'Refused.', code: 'error', problems: [], ...body }, { status }),
  )
}

function handler(route: string, resolve: HttpResponseResolver): HttpHandler {
  const [method, path] = route.split(' ')
  return method === 'GET' ? http.get(`*${path}`, resolve) : http.post(`*${path}`, resolve)
}
