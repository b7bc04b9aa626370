import { act, screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { answer, refuse } from '@/test/api'
import {
  approval,
  at,
  bucket,
  executionSummary,
  metrics,
  pipelineSummary,
  runBar,
  stageError,
} from '@/test/factories'
import { theSocket } from '@/test/fake-socket'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const failed = executionSummary({
  id: 'e9',
  number: 9,
  status: 'failed',
  failed_stage: 'check',
  error: stageError(),
  counts: { success: 1, failed: 1, skipped: 2 },
})
const failing = pipelineSummary({ recent: [runBar({ id: 'e9', number: 9, status: 'failed' })] })
const fine = pipelineSummary({ id: 'fine', name: 'Fine', recent: [runBar({ id: 'e2' })] })

function answerDashboard() {
  server.use(
    answer('GET /api/metrics', metrics()),
    answer('GET /api/metrics/history', {
      range: '24h',
      bucket_seconds: 1800,
      buckets: [bucket({ success: 3, failed: 1 }), bucket({ at: at(1800), success: 2 })],
    }),
    answer('GET /api/pipelines', [fine, failing]),
    answer('GET /api/executions', [failed, executionSummary({ pipeline_name: 'Fine' })]),
  )
}

it('shows the exact error of the latest failure without a click', async () => {
  answerDashboard()
  renderApp('/')
  const card = await screen.findByRole('region', { name: 'Needs attention' })
  expect(card).toHaveTextContent("Row 7: column 'amount' must be a number, not 'N/A'.")
  expect(card).toHaveTextContent('at stage check, 2 stages blocked')
  expect(within(card).getByRole('link', { name: 'Open cause' })).toHaveAttribute(
    'href',
    '/executions/e9',
  )
})

it('retries from the failed stage', async () => {
  answerDashboard()
  let retried = ''
  server.use(
    http.post('*/api/executions/:id/retry', ({ params }) => {
      retried = String(params.id)
      return HttpResponse.json({
        execution_id: 'e9',
        reused: [],
        to_run: [],
        message: '1 stage reused, 3 will run',
      })
    }),
  )
  const { user } = renderApp('/')
  await user.click(await screen.findByRole('button', { name: 'Retry from check' }))
  expect(await screen.findByText('Retrying: 1 stage reused, 3 will run.')).toBeVisible()
  expect(retried).toBe('e9')
})

it('says in the activity what a running execution waits for', async () => {
  answerDashboard()
  const running = {
    status: 'running',
    ended_at: null,
    reason: 'load: waiting for pool cpu 4/4',
  } as const
  server.use(answer('GET /api/executions', [executionSummary(running)]))
  renderApp('/')
  expect(await screen.findByText('load: waiting for pool cpu 4/4')).toBeVisible()
})

it('shows what waits for you, and leads to where it is decided', async () => {
  answerDashboard()
  server.use(answer('GET /api/approvals', [approval(), approval({ execution_id: 'e2' })]))
  renderApp('/')
  const card = within(await screen.findByRole('region', { name: 'Waiting for you' }))
  expect(card.getByText('12 bad rows. Publish anyway?')).toBeVisible()
  expect(card.getByRole('link', { name: 'Decide' })).toHaveAttribute(
    'href',
    '/executions/e1?stage=review',
  )
  expect(card.getByRole('link', { name: 'All 2' })).toHaveAttribute('href', '/approvals')
})

it('leaves out what a viewer may not do', async () => {
  answerDashboard()
  renderApp('/', { role: 'viewer' })
  await screen.findByRole('region', { name: 'Needs attention' })
  expect(screen.queryByRole('button', { name: /Retry/ })).toBeNull()
  expect(screen.queryByRole('link', { name: 'New pipeline' })).toBeNull()
})

it('shows the four metrics as the server counts them', async () => {
  answerDashboard()
  renderApp('/')
  const card = (name: string) => screen.getByRole('region', { name })
  await waitFor(() => expect(card('Total pipelines')).toHaveTextContent('43 enabled, 1 paused'))
  expect(card('Active executions')).toHaveTextContent('21 queued')
  expect(card('Success rate, 24 h')).toHaveTextContent('95%−1.5 points vs the day before')
  expect(card('Avg. duration, 24 h')).toHaveTextContent('12.0 sp95 1 m 00 s, −20%')
})

it('sorts the pipelines by need and filters them', async () => {
  answerDashboard()
  const { user } = renderApp('/')
  const table = await screen.findByRole('table')
  const names = () =>
    within(table)
      .getAllByRole('link')
      .map((link) => link.textContent)
  expect(names()).toEqual(['Orders', 'Fine'])
  await user.click(screen.getByRole('button', { name: 'Failing 1' }))
  expect(names()).toEqual(['Orders'])
})

it('changes a state as its event comes', async () => {
  answerDashboard()
  renderApp('/')
  const table = await screen.findByRole('table')
  await waitFor(() => expect(theSocket().subscriptions()).toContainEqual({ room: 'dashboard' }))
  act(() =>
    theSocket().play('execution_started', {
      seq: 1,
      at: at(60),
      execution_id: 'e3',
      pipeline_id: 'fine',
      number: 8,
    }),
  )
  expect(await within(table).findByText('Running')).toBeVisible()
  expect(within(table).getByText(/^#8,/)).toBeVisible()
})

it('offers the history as a table', async () => {
  answerDashboard()
  const { user } = renderApp('/')
  expect(
    await screen.findByRole('img', { name: '6 runs ended in this range, 1 failed' }),
  ).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Table' }))
  const table = within(screen.getByRole('region', { name: 'Runs as a table' })).getByRole('table')
  expect(within(table).getAllByRole('row')).toHaveLength(3)
})

it('keeps the rest when one panel fails, and says what failed', async () => {
  answerDashboard()
  server.use(refuse('GET /api/metrics', 400, { detail: 'The store is closed.', request_id: 'r7' }))
  const { user } = renderApp('/')
  expect(await screen.findByRole('table')).toBeVisible()
  const alert = await screen.findByRole('alert')
  expect(alert).toHaveTextContent('The metrics could not be loaded')
  expect(alert).toHaveTextContent('The store is closed. (request r7)')
  server.use(answer('GET /api/metrics', metrics()))
  await user.click(within(alert).getByRole('button', { name: 'Try again' }))
  expect(await screen.findByText('95%')).toBeVisible()
})

it('invites to make the first pipeline', async () => {
  answerDashboard()
  server.use(answer('GET /api/pipelines', []), answer('GET /api/executions', []))
  renderApp('/')
  expect(await screen.findByText('There is no pipeline yet')).toBeVisible()
  expect(screen.getAllByRole('link', { name: 'New pipeline' })).not.toHaveLength(0)
  expect(screen.queryByRole('region', { name: 'Needs attention' })).toBeNull()
})
