import { act, screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { answer } from '@/test/api'
import { approval, at } from '@/test/factories'
import { theSocket } from '@/test/fake-socket'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const FORM = {
  type: 'object',
  properties: { discount: { type: 'integer', title: 'Discount' } },
  required: ['discount'],
}

it('lists what waits for you, counts it, and takes the decision with its form', async () => {
  let open = [approval({ form: FORM }), approval({ execution_id: 'e2', number: 8 })]
  const sent: unknown[] = []
  server.use(
    answer('GET /api/approvals', () => open),
    http.post('*/api/executions/:id/stages/:stage/approve', async ({ request, params }) => {
      const body = (await request.json()) as { values: { discount: number } }
      sent.push(body)
      if (body.values.discount > 50) {
        const problem = { code: 'maximum', message: 'At most 50.', path: 'values.discount' }
        return HttpResponse.json(
          { detail: 'It does not fit.', code: 'invalid_values', problems: [problem] },
          { status: 422 },
        )
      }
      open = open.slice(1)
      return HttpResponse.json({ stage: params.stage, approved: true })
    }),
  )
  const { user } = renderApp('/approvals')
  const card = await screen.findByRole('region', { name: /^Orders #7: Stage review waits/ })
  const nav = within(screen.getByRole('navigation', { name: 'Main' }))
  expect(await nav.findByRole('link', { name: /^Approvals ?2 ?waiting for you$/ })).toBeVisible()

  const approve = within(card).getByRole('button', { name: 'Approve' })
  await user.click(approve)
  expect(await within(card).findByText('Discount is needed.')).toBeVisible()
  expect(sent).toEqual([])
  await user.type(within(card).getByLabelText('Discount'), '60')
  await user.click(approve)
  expect(await within(card).findByText('At most 50.')).toBeVisible()
  expect(within(card).queryByText('It does not fit.')).toBeNull()
  await user.clear(within(card).getByLabelText('Discount'))
  await user.type(within(card).getByLabelText('Discount'), '5')
  await user.type(within(card).getByLabelText(/^Comment/), 'go')
  await user.click(approve)

  expect(await screen.findByText('review is approved.')).toBeVisible()
  expect(sent.at(-1)).toEqual({ index: 0, comment: 'go', values: { discount: 5 } })
  await waitFor(() => expect(card).not.toBeInTheDocument())
  expect(await nav.findByRole('link', { name: /^Approvals ?1 ?waiting for you$/ })).toBeVisible()
})

it('says what is wrong beyond the fields, and shows it at a checkbox too', async () => {
  const problems = [{ code: 'const', message: 'Agree first.', path: 'values.agreed' }]
  const refused = [
    { detail: 'It does not fit.', code: 'invalid_values', problems },
    { detail: 'Somebody was faster.', code: 'conflict', problems: [] },
  ]
  const properties = { agreed: { type: 'boolean', title: 'Agreed' } }
  server.use(
    answer('GET /api/approvals', [approval({ form: { properties } })]),
    http.post('*/api/executions/:id/stages/:stage/approve', () =>
      HttpResponse.json(refused.shift(), { status: 422 }),
    ),
  )
  const { user } = renderApp('/approvals')
  const approve = await screen.findByRole('button', { name: 'Approve' })
  await user.click(approve)
  expect(await screen.findByText('Agree first.')).toBeVisible()
  expect(screen.queryByText('It does not fit.')).toBeNull()
  await user.click(approve)
  expect(await screen.findByText('Somebody was faster.')).toBeVisible()
})

it('rejects without the form', async () => {
  const sent: unknown[] = []
  server.use(
    answer('GET /api/approvals', [approval({ form: FORM })]),
    http.post('*/api/executions/:id/stages/:stage/reject', async ({ request, params }) => {
      sent.push(await request.json())
      return HttpResponse.json({ stage: params.stage, approved: false })
    }),
  )
  const { user } = renderApp('/approvals')
  await user.click(await screen.findByRole('button', { name: 'Reject' }))
  expect(await screen.findByText('review is rejected.')).toBeVisible()
  expect(sent).toEqual([{ index: 0, comment: '', values: {} }])
})

it('shows those of others without a way to decide', async () => {
  server.use(
    answer('GET /api/approvals', (request) =>
      new URL(request.url).searchParams.get('mine') === 'true'
        ? []
        : [approval({ may_decide: false, assignees: ['group:finance'] })],
    ),
  )
  const { user, location } = renderApp('/approvals')
  expect(await screen.findByText('Nothing waits for you')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Show those for others' }))
  expect(await screen.findByText('It is not for you to decide.')).toBeVisible()
  expect(screen.getByText(/for group:finance/)).toBeVisible()
  expect(screen.queryByRole('button', { name: 'Approve' })).toBeNull()
  expect(location()).toBe('/approvals?whose=all')
})

it('hears of a new one', async () => {
  let open = [approval()]
  server.use(answer('GET /api/approvals', () => open))
  renderApp('/approvals')
  await screen.findByRole('button', { name: 'Approve' })
  await waitFor(() => expect(theSocket().subscriptions()).toContainEqual({ room: 'dashboard' }))
  open = [...open, approval({ execution_id: 'e2', number: 8, message: 'Pay 900 €?' })]
  act(() =>
    theSocket().play('approval_requested', {
      seq: 4,
      at: at(60),
      execution_id: 'e2',
      pipeline_id: 'orders',
      stage: 'review',
    }),
  )
  expect(await screen.findByText('Pay 900 €?')).toBeVisible()
})
