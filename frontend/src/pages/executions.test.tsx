import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { Schemas } from '@/lib/api'
import { answer } from '@/test/api'
import { expectAccessible } from '@/test/axe'
import { bulkResponse, executionSummary, failedExecution } from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const failed = [3, 2, 1].map((number) =>
  executionSummary({ id: `e${number}`, number, status: 'failed' }),
)

/** The calls of a bulk route; a dry run counts, the others are answered in turn. */
function answerBulk(
  action: 'retry' | 'cancel',
  matched: number,
  ...results: Schemas['BulkResponse'][]
) {
  const calls: Record<string, unknown>[] = []
  server.use(
    http.post(`*/api/executions/${action}`, async ({ request }) => {
      const body = (await request.json()) as Record<string, unknown>
      calls.push(body)
      return HttpResponse.json(
        body.dry_run ? bulkResponse([], {}, { matched, left: matched }) : results.shift(),
      )
    }),
  )
  return calls
}

it('retries what is ticked, after it has said how many, and leads to what was refused', async () => {
  server.use(answer('GET /api/executions', failed), answer('GET /api/pipelines', []))
  const calls = answerBulk('retry', 2, bulkResponse([1], { 2: 'It runs already.' }))
  const { user } = renderApp('/executions')

  await user.click(await screen.findByRole('checkbox', { name: 'Select Orders #1' }))
  await user.click(screen.getByRole('checkbox', { name: 'Select Orders #2' }))
  const bar = within(screen.getByRole('region', { name: 'Selection' }))
  expect(bar.getByText('2 selected')).toBeVisible()
  expect(bar.getByRole('button', { name: 'Cancel…' })).toBeDisabled()
  await user.click(bar.getByRole('button', { name: 'Retry…' }))

  const dialog = within(await screen.findByRole('dialog'))
  expect(await dialog.findByText('Of the 2 selected, 2 can be retried.')).toBeVisible()
  await expectAccessible()
  expect(calls).toHaveLength(1)
  await user.click(dialog.getByRole('button', { name: 'Retry 2' }))

  expect(await screen.findByText('1 execution retried, 1 refused.')).toBeVisible()
  expect(screen.getByRole('link', { name: 'orders #2: It runs already.' })).toHaveAttribute(
    'href',
    '/executions/e2',
  )
  expect(calls).toEqual([
    expect.objectContaining({ ids: ['e1', 'e2'], dry_run: true }),
    expect.objectContaining({ ids: ['e1', 'e2'], dry_run: false }),
  ])
  await waitFor(() => expect(screen.queryByRole('region', { name: 'Selection' })).toBeNull())
})

it('takes all that the filters match, call after call', async () => {
  server.use(
    http.get('*/api/executions', () =>
      HttpResponse.json(failed, { headers: { 'X-Next-Cursor': 'next' } }),
    ),
    answer('GET /api/pipelines', []),
  )
  const calls = answerBulk(
    'retry',
    1500,
    bulkResponse([1], {}, { next_cursor: 'behind the first thousand' }),
    bulkResponse([2]),
  )
  const { user } = renderApp('/executions?status=failed&pipeline=orders')
  await user.click(await screen.findByRole('checkbox', { name: 'Select all that are shown' }))
  expect(screen.getByText('3 selected')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Take all that match the filters' }))
  await user.click(screen.getByRole('button', { name: 'Retry…' }))
  await user.click(await screen.findByRole('button', { name: 'Retry 1,500' }))

  expect(await screen.findByText('2 executions retried.')).toBeVisible()
  const narrowed = { status: ['failed', 'timed_out'], pipeline_id: 'orders', ids: [], all: false }
  expect(calls).toEqual([
    expect.objectContaining({ ...narrowed, dry_run: true }),
    expect.objectContaining({ ...narrowed, cursor: null }),
    expect.objectContaining({ ...narrowed, cursor: 'behind the first thousand' }),
  ])
})

it('forgets what was ticked when the filters change', async () => {
  server.use(answer('GET /api/executions', failed), answer('GET /api/pipelines', []))
  const { user } = renderApp('/executions')
  await user.click(await screen.findByRole('checkbox', { name: 'Select Orders #1' }))
  await user.click(screen.getByRole('button', { name: 'Failed' }))
  expect(screen.queryByRole('region', { name: 'Selection' })).toBeNull()
  expect(await screen.findByRole('checkbox', { name: 'Select Orders #1' })).not.toBeChecked()
})

it('says in its row what a running execution waits for', async () => {
  const reason = 'review: waiting for approval (2 more stages wait)'
  const running = { status: 'running', ended_at: null, counts: { waiting: 3 } } as const
  server.use(
    answer('GET /api/executions', [
      executionSummary({ ...running, id: 'e1', reason }),
      executionSummary({ ...running, id: 'e2', reason: null, trial: true }),
    ]),
    answer('GET /api/pipelines', []),
  )
  renderApp('/executions')
  expect((await screen.findAllByText(reason)).length).toBeGreaterThan(0)
  expect(screen.getAllByText('3 stages wait').length).toBeGreaterThan(0)
  expect(screen.getAllByText(/tries a draft/)).toHaveLength(1)
})

it('does nothing where nothing can be done', async () => {
  const running = executionSummary({ status: 'running', ended_at: null })
  server.use(answer('GET /api/executions', [running]), answer('GET /api/pipelines', []))
  const calls = answerBulk('cancel', 0)
  const { user } = renderApp('/executions')
  await user.click(await screen.findByRole('checkbox', { name: 'Select Orders #7' }))
  await user.click(screen.getByRole('button', { name: 'Cancel…' }))
  expect(await screen.findByText('Of the 1 selected, none can be cancelled.')).toBeVisible()
  expect(within(screen.getByRole('dialog')).getByRole('button', { name: 'Cancel' })).toBeDisabled()
  expect(calls).toHaveLength(1)
})

it('offers a viewer nothing to tick', async () => {
  server.use(answer('GET /api/executions', failed), answer('GET /api/pipelines', []))
  renderApp('/executions', { role: 'viewer' })
  expect(await screen.findByRole('link', { name: 'Orders #1' })).toBeVisible()
  expect(screen.queryByRole('checkbox')).toBeNull()
})

it('asks again when it is opened again, as nobody listened meanwhile', async () => {
  let shown = failed.slice(0, 1)
  server.use(
    answer('GET /api/executions', () => shown),
    answer('GET /api/pipelines', []),
    answer('GET /api/executions/:id', failedExecution({ id: 'e3' })),
    answer('GET /api/executions/:id/logs', []),
    answer('GET /api/executions/:id/stages/:stage/table', {
      columns: [],
      rows: [],
      offset: 0,
      total_rows: 0,
    }),
  )
  const { user, router } = renderApp('/executions')
  await user.click(await screen.findByRole('link', { name: 'Orders #3' }))
  await screen.findByRole('heading', { name: '#7' })
  shown = failed
  await router.navigate(-1)
  expect(await screen.findByRole('link', { name: 'Orders #1' })).toBeVisible()
})
