import { screen, within } from '@testing-library/react'
import { expect, it } from 'vitest'
import { answer, refuse } from '@/test/api'
import { expectAccessible } from '@/test/axe'
import { queueDepth, runningStage, worker } from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

it('shows who works, what each runs, and what waits', async () => {
  server.use(
    answer('GET /api/workers', [
      worker({ running: 2, stages: [runningStage(), runningStage({ stage: 'check', index: 3 })] }),
      worker({ id: 'w2', host: 'node-2', is_here: false, role: 'worker', pools: ['cpu_heavy'] }),
      worker({ id: 'w3', host: 'node-3', is_here: false, state: 'lost' }),
    ]),
    answer('GET /api/metrics/queue', [
      queueDepth(),
      queueDepth({ pool: 'cpu_heavy', slots: 4, waiting: 12, running: 4, oldest_wait_seconds: 90 }),
    ]),
  )
  renderApp('/settings/workers')
  expect(await screen.findByText('2 online, 2 of 16 slots busy')).toBeVisible()
  const workers = within(screen.getByRole('region', { name: 'Workers' }))
  const rows = workers.getAllByRole('row').map((row) => row.textContent)
  expect(rows[1]).toMatch(/^node-1this oneserver, pid 4711, version 0\.1\.0.*2 of 8Takes work/)
  expect(rows[3]).toMatch(/^node-2worker.*cpu_heavy.*0 of 8Takes work/)
  expect(rows[4]).toMatch(/^node-3.*Lost/)
  const running = within(workers.getByRole('list', { name: 'Running on node-1' }))
  expect(running.getAllByRole('link', { name: 'Orders #7' })[0]).toHaveAttribute(
    'href',
    '/executions/e7',
  )
  expect(running.getByRole('link', { name: 'check' })).toHaveAttribute(
    'href',
    '/executions/e7?stage=check',
  )
  expect(running.getByText(/^item 3/)).toBeVisible()
  const queue = within(screen.getByRole('region', { name: 'Queue' }))
  const depths = (await queue.findAllByRole('row')).map((row) => row.textContent)
  expect(depths.slice(1)).toEqual(['default0–0', 'cpu_heavy121 m 30 s4'])
  await expectAccessible()
})

it('says what waits for a worker that is not there, and how to start one', async () => {
  const why =
    'waiting for a worker: none takes stages of pool gpu; start one with `flexiroaster worker --pool gpu`'
  const gpu = { pool: 'gpu', waiting: 2, oldest_wait_seconds: 30, workers: 0, reason: why }
  server.use(
    answer('GET /api/workers', [worker()]),
    answer('GET /api/metrics/queue', [queueDepth(), queueDepth(gpu)]),
  )
  renderApp('/settings/workers')
  const queue = within(await screen.findByRole('region', { name: 'Queue' }))
  expect(await queue.findByText(/none takes stages of pool gpu/)).toBeVisible()
  expect(queue.getByText('flexiroaster worker --pool gpu')).toHaveProperty('tagName', 'CODE')
  await expectAccessible()
})

it('shows all that a busy one runs when asked', async () => {
  const stages = Array.from({ length: 50 }, (_, index) => runningStage({ index: index + 1 }))
  server.use(
    answer('GET /api/workers', [worker({ slots: 80, running: 60, stages })]),
    answer('GET /api/metrics/queue', [queueDepth()]),
  )
  const { user } = renderApp('/settings/workers')
  const list = await screen.findByRole('list', { name: 'Running on node-1' })
  expect(within(list).getAllByRole('listitem')).toHaveLength(3)
  await user.click(screen.getByRole('button', { name: 'Show all 60' }))
  expect(within(list).getAllByRole('listitem')).toHaveLength(50)
  expect(screen.getByText('and 10 more')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Show fewer' }))
  expect(within(list).getAllByRole('listitem')).toHaveLength(3)
})

it('drains a worker after saying what that means', async () => {
  let state: 'working' | 'draining' = 'working'
  server.use(
    answer('GET /api/workers', () => [worker({ state, running: 2 })]),
    answer('GET /api/metrics/queue', [queueDepth()]),
    answer('POST /api/workers/:id/drain', () => {
      state = 'draining'
      return worker({ state, running: 2 })
    }),
  )
  const { user } = renderApp('/settings/workers')
  await user.click(await screen.findByRole('button', { name: /^Drain…/ }))
  const dialog = within(await screen.findByRole('dialog', { name: 'Drain node-1, pid 4711?' }))
  expect(dialog.getByText(/^2 stages running now may end/)).toBeVisible()
  await expectAccessible()
  await user.click(dialog.getByRole('button', { name: 'Drain the worker' }))
  expect((await screen.findAllByText('Draining'))[0]).toBeVisible()
  expect(screen.getByText('1 online (1 stopping), 0 of 0 slots busy')).toBeVisible()
  expect(screen.queryByRole('button', { name: /^Drain…/ })).toBeNull()
})

it('lets only an administrator drain', async () => {
  server.use(
    answer('GET /api/workers', [worker()]),
    answer('GET /api/metrics/queue', [queueDepth()]),
  )
  renderApp('/settings/workers', { role: 'editor' })
  expect((await screen.findAllByText('Takes work'))[0]).toBeVisible()
  expect(screen.queryByRole('button', { name: /^Drain…/ })).toBeNull()
})

it('says when nobody works', async () => {
  server.use(answer('GET /api/workers', []), answer('GET /api/metrics/queue', [queueDepth()]))
  renderApp('/settings/workers')
  expect(await screen.findByText('There is no worker')).toBeVisible()
  await expectAccessible()
})

it('keeps a failure in its own panel', async () => {
  server.use(
    refuse('GET /api/workers', 503, { detail: 'The database does not answer at this moment.' }),
    answer('GET /api/metrics/queue', [queueDepth({ waiting: 5 })]),
  )
  renderApp('/settings/workers')
  expect(await screen.findByText('The workers could not be loaded')).toBeVisible()
  expect(screen.getByText('The database does not answer at this moment.')).toBeVisible()
  expect(await screen.findByRole('cell', { name: '5' })).toBeVisible()
  await expectAccessible()
})
