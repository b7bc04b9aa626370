import { screen } from '@testing-library/react'
import { describe, it } from 'vitest'
import { answer } from '@/test/api'
import { expectAccessible } from '@/test/axe'
import {
  approval,
  assistant,
  bucket,
  executionSummary,
  explanation,
  failedExecution,
  firing,
  insight,
  learnedModel,
  learning,
  logLine,
  maintenanceWindow,
  metrics,
  pipelineDetail,
  pipelineSummary,
  pool,
  project,
  runBar,
  stageError,
  suggestion,
  trigger,
} from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const pages: [address: string, text: string][] = [
  ['/', 'sorted by need'],
  ['/pipelines', 'Orders'],
  ['/pipelines/orders', '#7'],
  ['/pipelines/orders?tab=graph', 'load'],
  ['/pipelines/orders?tab=triggers', 'Mon to Fri at 02:15, Europe/Paris'],
  ['/pipelines/orders?tab=definition', 'Edit'],
  ['/pipelines/new', 'Valid, 1 stage'],
  ['/executions', 'Orders #7'],
  ['/executions/e1', 'read 12 rows'],
  ['/approvals', '12 bad rows. Publish anyway?'],
  ['/insights', 'Apply as draft'],
  ['/insights?view=abnormal', 'Was this worth saying?'],
  ['/settings/learning', 'Whether a stage fails'],
  ['/settings/maintenance', 'The warehouse is moved.'],
  ['/settings/pools', 'cpu_heavy'],
  ['/settings/server', 'Executions under way'],
  ['/nowhere', 'There is no such page'],
]

const failed = executionSummary({ status: 'failed', failed_stage: 'check', error: stageError() })
const stages = [{ id: 'load', name: 'load', type: 'input', needs: [], phase: 'main' as const }]
const askingForReason = { type: 'object', properties: { reason: { type: 'string' } } }
const recent = [runBar({ status: 'failed' })]

describe('axe finds nothing wrong', () => {
  it.each(pages)('on %s', async (address, text) => {
    server.use(
      answer('GET /api/metrics', metrics()),
      answer('GET /api/metrics/history', {
        range: '24h',
        bucket_seconds: 1800,
        buckets: [bucket({ success: 3, failed: 1 })],
      }),
      answer('GET /api/pipelines', [pipelineSummary({ recent })]),
      answer('GET /api/pipelines/:id', pipelineDetail({ recent, stages })),
      answer('POST /api/pipelines/validate', {
        valid: true,
        definition: {},
        problems: [],
        stages,
      }),
      answer('GET /api/triggers', [trigger()]),
      answer('GET /api/pipelines/:id/triggers', [trigger({ last: firing() })]),
      answer('GET /api/pipelines/:id/triggers/:trigger/firings', [firing()]),
      answer('GET /api/approvals', [approval({ form: askingForReason })]),
      answer('GET /api/ai/maintenance', [maintenanceWindow({ reason: 'The warehouse is moved.' })]),
      answer('GET /api/ai', learning({ models: [learnedModel()] })),
      answer('GET /api/suggestions', [suggestion()]),
      answer('GET /api/suggestions/:id', suggestion()),
      answer('GET /api/insights', [insight()]),
      answer('GET /api/executions/:id/explain', explanation({ assistant: true })),
      answer('GET /api/assistant', assistant()),
      answer('GET /api/ai/projects', [project(), project({ name: 'sales', assistant: true })]),
      answer('GET /api/pools', [pool(), pool({ name: 'undefined_yet', slots: null })]),
      answer('GET /api/admin/drain', { state: 'draining', running: 2, message: '' }),
      answer('GET /health', { status: 'draining', version: '1', instance: 'i', detail: null }),
      answer('GET /api/about', {
        version: '0.1.0',
        database: 'sqlite',
        code_stages: false,
        data_dirs: ['/srv/data'],
      }),
      answer('GET /api/executions', [failed]),
      answer('GET /api/executions/:id', failedExecution()),
      answer('GET /api/executions/:id/logs', [logLine()]),
      answer('GET /api/executions/:id/stages/:stage/table', {
        columns: [{ name: 'amount', type: 'VARCHAR' }],
        rows: [['N/A']],
        offset: 6,
        total_rows: 12,
      }),
    )
    renderApp(address)
    await screen.findAllByText(text)
    await expectAccessible()
  })
})
