import { act, screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { Schemas } from '@/lib/api'
import { useConnection } from '@/store/connection'
import { answer, refuse } from '@/test/api'
import {
  at,
  endedRun,
  executionDetail,
  failedExecution,
  item,
  logLine,
  pipelineDetail,
  pipelineVersion,
  START,
  stageError,
  stageRun,
} from '@/test/factories'
import { theSocket } from '@/test/fake-socket'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

function answerExecution(
  execution: Schemas['ExecutionDetail'],
  logs: (request: URLSearchParams) => Schemas['LogLine'][] = () => [],
) {
  server.use(
    answer('GET /api/executions/:id', execution),
    answer('GET /api/executions/:id/logs', (request) => logs(new URL(request.url).searchParams)),
    answer('GET /api/executions/:id/stages/:stage/table', {
      columns: [
        { name: 'order_id', type: 'BIGINT' },
        { name: 'amount', type: 'VARCHAR' },
      ],
      rows: [
        [6, '41.90'],
        [7, 'N/A'],
        [8, null],
      ],
      offset: 5,
      total_rows: 12,
    }),
  )
}

it('puts the cause first: sentence, exact error, place, retry', async () => {
  answerExecution(failedExecution())
  renderApp('/executions/e1')
  const cause = await screen.findByRole('region', { name: /Stage check got a row it cannot use/ })
  expect(cause).toHaveTextContent("Row 7: column 'amount' must be a number, not 'N/A'.")
  expect(within(cause).getByText('amount')).toBeVisible()
  expect(screen.getByRole('button', { name: 'Retry from check' })).toBeEnabled()
})

it('names the stages that a retry would run and reuse', async () => {
  answerExecution(failedExecution())
  const { user } = renderApp('/executions/e1')
  await user.click(await screen.findByRole('button', { name: '1 stage reused, 2 will run' }))
  const dialog = within(await screen.findByRole('dialog', { name: 'What a retry does' }))
  expect(dialog.getByText('check, publish')).toBeVisible()
  expect(dialog.getByText('load')).toBeVisible()
  const sent: unknown[] = []
  server.use(
    http.post('*/api/executions/:id/retry', async ({ request }) => {
      sent.push(await request.json())
      return HttpResponse.json({ message: '1 stage reused, 2 will run' }, { status: 202 })
    }),
  )
  await user.click(dialog.getByRole('button', { name: 'Retry without the cache' }))
  await waitFor(() => expect(sent).toEqual([{ use_cache: false }]))
})

it('marks the failing row of the input', async () => {
  answerExecution(failedExecution())
  const { user, location } = renderApp('/executions/e1')
  await user.click(await screen.findByRole('button', { name: 'Row 7 in the input' }))
  expect(location()).toBe('/executions/e1?stage=check&tab=input&row=7')
  const row = await screen.findByRole('row', { name: '7 N/A 7' })
  expect(row).toHaveClass('bg-state-failed-tint')
  expect(screen.getByText('null')).toBeVisible()
})

it('never shows what was not run as failed', async () => {
  answerExecution(failedExecution())
  renderApp('/executions/e1')
  const timeline = within(await screen.findByRole('list', { name: 'Stages in time' }))
  const [skipped] = timeline.getAllByRole('button', { name: /publish/ })
  expect(skipped).toHaveAccessibleName(/not run: needs check, which failed/)
  expect(skipped).not.toHaveAccessibleName(/^publish ?failed/)
})

it('shares the selection between timeline, graph, inspector and address', async () => {
  answerExecution(failedExecution(), (search) => [
    logLine({ message: `log of ${search.get('stage')}`, stage: search.get('stage') }),
  ])
  const { user, location } = renderApp('/executions/e1')
  expect(await screen.findByText('log of check')).toBeVisible()
  const timeline = within(screen.getByRole('list', { name: 'Stages in time' }))
  await user.click(timeline.getByRole('button', { name: /^load/ }))
  expect(location()).toBe('/executions/e1?stage=load')
  expect(await screen.findByText('log of load')).toBeVisible()
  const graph = within(screen.getByRole('group', { name: /Graph of 3/ }))
  expect(graph.getByRole('button', { name: /^load/ })).toHaveAttribute('aria-pressed', 'true')
})

it('searches the log on the server, by text and level', async () => {
  const asked: string[] = []
  answerExecution(failedExecution(), (search) => {
    asked.push(`${search.get('level')}:${search.get('q')}`)
    return search.get('q') ? [] : [logLine()]
  })
  const { user, location } = renderApp('/executions/e1')
  expect(await screen.findByText('read 12 rows')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Error' }))
  await waitFor(() => expect(asked).toContain('error:null'))
  await user.keyboard('/')
  expect(screen.getByRole('searchbox', { name: 'Find in logs' })).toHaveFocus()
  await user.keyboard('boom')
  expect(await screen.findByText('No line matches.')).toBeVisible()
  await waitFor(() => expect(asked.at(-1)).toBe('error:boom'))
  expect(location()).toBe('/executions/e1?level=error&find=boom')
})

it('shows the rows of a file that an input stage only names', async () => {
  answerExecution(failedExecution())
  server.use(
    answer('GET /api/executions/:id/stages/:stage', {
      ...endedRun('load', [0, 1], { type: 'input', rows: 12 }),
      config: {},
      result: { rows: 12 },
      result_truncated: false,
      attempts: [],
    }),
  )
  renderApp('/executions/e1?stage=load&tab=data')
  const rows = within(await screen.findByRole('region', { name: 'Rows of load' }))
  expect(rows.getByRole('cell', { name: '41.90' })).toBeVisible()
})

const withItems = executionDetail({
  status: 'running',
  ended_at: null,
  stages: [
    stageRun('regions', {
      status: 'running',
      started_at: START,
      items: { count: 3, states: { success: 1, failed: 1, running: 1 } },
    }),
  ],
})

it('opens one item of a stage with its own log, and leads back', async () => {
  const asked: string[] = []
  answerExecution(withItems, (search) => {
    asked.push(`${search.get('stage')}[${search.get('index')}]`)
    return [logLine({ stage: 'regions', message: 'no such region' })]
  })
  server.use(
    answer('GET /api/executions/:id/stages/:stage/items', [item(1, 'success'), item(2, 'failed')]),
    answer('GET /api/executions/:id/stages/:stage', {
      ...endedRun('regions', [0, 1], { index: 2, status: 'failed', error: stageError() }),
      config: {},
      result_truncated: false,
      item: 'region-2',
      attempts: [],
    }),
  )
  const { user, location } = renderApp('/executions/e1?stage=regions&tab=items')
  await user.click(await screen.findByRole('button', { name: 'Open item 2' }))
  const inspector = within(screen.getByRole('region', { name: 'Inspector' }))
  expect(await inspector.findByRole('heading', { name: 'regions [2]' })).toBeVisible()
  expect(inspector.getByText('region-2')).toBeVisible()
  expect(await inspector.findByText('no such region')).toBeVisible()
  expect(asked).toContain('regions[2]')
  expect(location()).toBe('/executions/e1?stage=regions&tab=logs&index=2')
  await user.click(inspector.getByRole('button', { name: 'All items' }))
  expect(await inspector.findByRole('button', { name: 'Open item 1' })).toBeVisible()
})

it('cancels one stage alone', async () => {
  answerExecution(withItems)
  const cancelled: string[] = []
  server.use(
    http.post('*/api/executions/:id/stages/:stage/cancel', ({ request, params }) => {
      cancelled.push(`${params.stage}${new URL(request.url).search}`)
      return HttpResponse.json(stageRun('regions', { status: 'cancelling' }), { status: 202 })
    }),
  )
  const { user } = renderApp('/executions/e1?stage=regions')
  await user.click(await screen.findByRole('button', { name: 'Cancel only this' }))
  expect(await screen.findByText(/^regions is told to stop/)).toBeVisible()
  expect(cancelled).toEqual(['regions?index=0'])
})

const running = executionDetail({
  status: 'running',
  ended_at: null,
  last_seq: 3,
  stages: [endedRun('load', [0, 1]), stageRun('check', { needs: ['load'] })],
})

function stir() {
  theSocket().play('stage_started', {
    seq: 4,
    at: at(1),
    execution_id: 'e1',
    pipeline_id: 'orders',
    stage: 'check',
    index: 0,
    attempt: 1,
  })
}

it('follows a running execution and resumes where it was', async () => {
  let lines = [logLine({ id: 1, message: 'first line' })]
  answerExecution(running, (search) =>
    lines.filter(({ id }) => id > Number(search.get('after') ?? 0)),
  )
  renderApp('/executions/e1')
  await screen.findByText('first line')
  await waitFor(() =>
    expect(theSocket().subscriptions()).toContainEqual({ room: 'execution:e1', after: 3 }),
  )
  lines = [...lines, logLine({ id: 2, message: 'second line', stage: 'check' })]
  act(stir)
  expect(await screen.findByText('1 running, 1 succeeded')).toBeVisible()
  expect(await screen.findByText('second line')).toBeVisible()
  act(() => theSocket().drop())
  act(() => void theSocket().connect())
  expect(theSocket().subscriptions().at(-1)).toEqual({ room: 'execution:e1', after: 4 })
})

async function failToLoadTheLog(execution: Schemas['ExecutionDetail']) {
  answerExecution(execution)
  server.use(refuse('GET /api/executions/:id/logs', 404))
  renderApp('/executions/e1')
  await screen.findByText('The log could not be loaded')
  await waitFor(() => expect(theSocket().subscriptions().length).toBeGreaterThan(0))
  server.use(answer('GET /api/executions/:id/logs', [logLine({ message: 'first line' })]))
}

it('loads a log that could not be loaded when the execution stirs', async () => {
  await failToLoadTheLog(running)
  act(stir)
  expect(await screen.findByText('first line')).toBeVisible()
  expect(screen.queryByText('The log could not be loaded')).not.toBeInTheDocument()
})

it('asks again for what could not be loaded when the server is back', async () => {
  await failToLoadTheLog(executionDetail({ status: 'success' }))
  act(() => useConnection.setState({ status: 'offline' }))
  act(() => void theSocket().connect())
  expect(await screen.findByText('first line')).toBeVisible()
})

it('asks anew when an event was missed', async () => {
  answerExecution(running)
  renderApp('/executions/e1')
  await screen.findByText('1 not started, 1 succeeded')
  await waitFor(() => expect(theSocket().subscriptions().length).toBeGreaterThan(0))
  answerExecution({ ...failedExecution(), last_seq: 9 })
  act(() =>
    theSocket().play('execution_failed', {
      seq: 9,
      at: at(5),
      execution_id: 'e1',
      pipeline_id: 'orders',
      status: 'failed',
    }),
  )
  expect(await screen.findByRole('button', { name: 'Retry from check' })).toBeVisible()
})

it('says that there is no such execution', async () => {
  server.use(refuse('GET /api/executions/:id', 404, { code: 'not_found' }))
  const { location } = renderApp('/executions/gone')
  expect(await screen.findByText('There is no such execution')).toBeVisible()
  expect(screen.getByRole('link', { name: 'All executions' })).toBeVisible()
  expect(location()).toBe('/executions/gone')
})

it('says in the log what a line is about', async () => {
  const sql = 'SELECT region\nFROM input'
  answerExecution(executionDetail(), () => [
    logLine({
      id: 1,
      message: 'Rows break a rule.',
      fields: { rule: 'dest: references', rows: 49 },
    }),
    logLine({ id: 2, message: 'The operations are one query.', fields: { sql } }),
  ])
  const { user } = renderApp('/executions/e1')
  const log = await screen.findByRole('log')
  expect(log).toHaveTextContent('Rows break a rule. rule=dest: references rows=49')
  expect(screen.getByText(/SELECT region/)).not.toBeVisible()
  await user.click(screen.getByText('sql'))
  expect(screen.getByText(/SELECT region/)).toBeVisible()
})

it('runs again with the inputs of before', async () => {
  const properties = { day: { type: 'string', default: 'today' } }
  answerExecution(executionDetail({ status: 'success', inputs: { day: 'monday' }, data: [3, 1] }))
  server.use(
    answer('GET /api/pipelines/:id', pipelineDetail({ inputs_schema: { properties } })),
    answer('GET /api/pipelines/:id/versions', []),
  )
  const { user } = renderApp('/executions/e1')
  await user.click(await screen.findByRole('button', { name: 'Run again' }))
  expect(await screen.findByRole('textbox', { name: /^day/ })).toHaveValue('monday')
  expect(screen.getByRole('textbox', { name: /^Data/ })).toHaveValue('[3,1]')
})

it('runs again from a stage, with the version of then, after it has said what it takes over', async () => {
  const planned: string[] = []
  const sent: unknown[] = []
  answerExecution(failedExecution({ version: 2 }))
  server.use(
    answer('GET /api/pipelines/:id', pipelineDetail({ version: 3 })),
    answer(
      'GET /api/pipelines/:id/versions',
      [3, 2, 1].map((version) => pipelineVersion({ version })),
    ),
    answer('GET /api/pipelines/:id/versions/:version', (request) => {
      const version = Number(new URL(request.url).pathname.split('/').at(-1))
      return pipelineVersion({
        version,
        inputs_schema: {
          type: 'object',
          properties: { [`only_in_${version}`]: {} },
          required: [`only_in_${version}`],
        },
      })
    }),
    http.get('*/api/executions/:id/rerun', ({ request }) => {
      planned.push(new URL(request.url).search)
      return HttpResponse.json({
        message: '1 stage reused, 2 will run',
        to_run: ['check', 'publish'],
        runs_too: [],
        notes: [],
      })
    }),
    http.post('*/api/pipelines/:id/execute', async ({ request }) => {
      sent.push(await request.json())
      return HttpResponse.json({ execution_id: 'e2' }, { status: 202 })
    }),
  )
  const { user, location } = renderApp('/executions/e1')
  await user.click(await screen.findByRole('button', { name: 'Run again' }))
  const dialog = within(await screen.findByRole('dialog'))
  await user.selectOptions(await dialog.findByLabelText('Start'), 'From check')
  await user.selectOptions(dialog.getByLabelText('Version'), 'As it was then, v2')
  expect(await dialog.findByText('check, publish')).toBeVisible()
  await waitFor(() => expect(planned.at(-1)).toBe('?from_stage=check&version=2'))
  await user.selectOptions(await dialog.findByLabelText('Version'), await dialog.findByText('v1'))
  await user.type(await dialog.findByRole('textbox', { name: /^only_in_1/ }), '"given"')
  await waitFor(() => expect(planned.at(-1)).toBe('?from_stage=check&version=1'))
  await user.click(dialog.getByRole('button', { name: 'Run' }))
  await waitFor(() => expect(location()).toBe('/executions/e2'))
  expect(sent).toEqual([
    { inputs: { only_in_1: 'given' }, rerun_of: 'e1', from_stage: 'check', version: 1 },
  ])
})

it('says what changed inputs mean for what is taken over, and at the field what is wrong', async () => {
  const planned: (string | null)[] = []
  const plan = { message: '1 stage reused', to_run: ['check'], runs_too: [], notes: [] }
  const properties = { day: { type: 'string' }, limit: { type: 'integer', default: 3 } }
  answerExecution(failedExecution({ version: 1, inputs: { day: 'monday', limit: 5 } }))
  server.use(
    answer('GET /api/pipelines/:id', pipelineDetail({ version: 1, inputs_schema: { properties } })),
    http.get('*/api/executions/:id/rerun', ({ request }) => {
      const inputs = new URL(request.url).searchParams.get('inputs')
      planned.push(inputs)
      if (inputs?.includes('99')) {
        const problem = { code: 'maximum', message: 'At most 50.', path: 'inputs.limit' }
        return HttpResponse.json(
          { detail: 'It does not fit.', code: 'invalid_inputs', problems: [problem] },
          { status: 422 },
        )
      }
      return HttpResponse.json({ ...plan, notes: inputs ? [`Changed: ${inputs}`] : [] })
    }),
  )
  const { user } = renderApp('/executions/e1')
  await user.click(await screen.findByRole('button', { name: 'Run again' }))
  const dialog = within(await screen.findByRole('dialog'))
  await user.selectOptions(await dialog.findByLabelText('Start'), 'From check')
  expect(await dialog.findByText('1 stage reused')).toBeVisible()
  expect(planned).toEqual([null])

  const day = dialog.getByRole('textbox', { name: /^day/ })
  const limit = dialog.getByRole('textbox', { name: /^limit/ })
  await user.clear(day)
  await user.type(day, 'friday')
  expect(await dialog.findByText('Changed: {"day":"friday"}')).toBeVisible()
  await user.clear(limit)
  expect(await dialog.findByText('Changed: {"day":"friday","limit":3}')).toBeVisible()
  await user.type(limit, '99')
  expect(await dialog.findByText('At most 50.')).toBeVisible()
  expect(dialog.queryByText('It does not fit.')).toBeNull()
  expect(dialog.getByText('1 stage reused')).toBeVisible()

  await user.clear(limit)
  await user.click(day)
  await user.paste('漢'.repeat(2_000))
  await waitFor(() => expect(dialog.queryByText(/^Changed/)).toBeNull())
  const lengths = planned.map((inputs) => encodeURIComponent(inputs ?? '').length)
  expect(Math.max(...lengths)).toBeLessThanOrEqual(10_000)
})

it('runs every stage again where results are kept, and with a priority', async () => {
  const sent: unknown[] = []
  const definition = { stages: [{ id: 'load', type: 'noop', cache: { key: 'a', ttl: '1h' } }] }
  answerExecution(executionDetail({ status: 'success', version: 1, inputs: {} }))
  server.use(
    answer('GET /api/pipelines/:id', pipelineDetail({ version: 1, definition })),
    http.post('*/api/pipelines/:id/execute', async ({ request }) => {
      sent.push(await request.json())
      return HttpResponse.json({ execution_id: 'e2' }, { status: 202 })
    }),
  )
  const { user, location } = renderApp('/executions/e1')
  await user.click(await screen.findByRole('button', { name: 'Run again' }))
  const dialog = within(await screen.findByRole('dialog'))
  await user.click(await dialog.findByRole('checkbox', { name: /^Run every stage/ }))
  await user.type(dialog.getByRole('textbox', { name: /^Priority/ }), '7')
  await user.click(dialog.getByRole('button', { name: 'Run' }))
  await waitFor(() => expect(location()).toBe('/executions/e2'))
  expect(sent).toEqual([{ inputs: {}, rerun_of: 'e1', use_cache: false, priority: 7 }])
})

it('goes to the next failure by a key, unless somebody types', async () => {
  const failed = { status: 'failed', error: stageError() } as const
  answerExecution(
    failedExecution({
      stages: [
        endedRun('load', [0, 1], failed),
        endedRun('check', [1, 2], { ...failed, needs: ['load'] }),
      ],
    }),
  )
  const { user, location } = renderApp('/executions/e1')
  await screen.findByRole('button', { name: /Next of 2 failures/ })
  await user.keyboard('f')
  await waitFor(() => expect(location()).toContain('stage=check'))
  await user.type(screen.getByRole('searchbox', { name: /Find in logs/ }), 'f')
  expect(location()).toContain('stage=check')
  await user.click(document.body)
  await user.keyboard('F')
  await waitFor(() => expect(location()).toContain('stage=load'))
})

it('lets the duration of a paused execution stand still', async () => {
  answerExecution(
    executionDetail({
      status: 'paused',
      ended_at: null,
      paused_at: at(90),
      reason: 'paused by ada',
    }),
  )
  renderApp('/executions/e1')
  expect(await screen.findByText('paused by ada')).toBeVisible()
  expect(screen.getByText('1 m 30 s')).toBeVisible()
})

it.each([
  ['ran out of time', START],
  ['did not start in time', null],
])('says of an execution that no stage failed in that it %s', async (words, started_at) => {
  const error = stageError({ message: 'Its time has passed.', stage: null })
  const stages = [endedRun('load', [0, 3], { status: 'cancelled' })]
  answerExecution(
    failedExecution({ status: 'timed_out', failed_stage: null, started_at, error, stages }),
  )
  renderApp('/executions/e1')
  expect(await screen.findByRole('heading', { name: `The execution ${words}` })).toBeVisible()
})

it('tells a stage that was run alone from all that follows it', async () => {
  const again = { rerun_of: 'e0', from_stage: 'check' }
  answerExecution(failedExecution({ ...again, alone: true }))
  renderApp('/executions/e1')
  expect(await screen.findByText(/^check alone, run again of/)).toBeVisible()
  answerExecution(failedExecution({ ...again, alone: false }))
  renderApp('/executions/e1')
  expect(await screen.findByText(/^run again from check of/)).toBeVisible()
})
