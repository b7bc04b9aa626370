import { useQuery } from '@tanstack/react-query'
import { useForm } from 'react-hook-form'
import { explain, InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { Field, Input } from '@/components/ui/field'
import { approvalsQuery, useDecide } from '@/features/executions/api'
import { RunControl } from '@/features/pipelines/components/run-control'
import { fieldOfProblem, fieldsOf, type RunValues, readAll } from '@/features/pipelines/run-fields'
import { ApiError, type Schemas } from '@/lib/api'
import { formatMoment } from '@/lib/format'

type Approval = Schemas['ApprovalBody']

/** What an execution waits for a person to decide: the first of its open approvals. */
export function ApprovalCard({ execution }: { execution: Schemas['ExecutionDetail'] }) {
  const waits = execution.stages.some((run) => run.waits_for === 'approval')
  const approvals = useQuery({ ...approvalsQuery(), enabled: waits })
  const open = approvals.data?.filter((approval) => approval.execution_id === execution.id) ?? []
  const first = open[0]
  if (!waits || !first) return null
  return (
    <Card
      aria-labelledby="approval"
      className="mb-3.5 border-[color-mix(in_srgb,var(--color-state-retrying)_40%,var(--color-border))] px-4 py-3"
    >
      <h2 id="approval" className="flex items-center gap-2 text-strong font-semibold">
        <Icon name="hand" className="text-state-retrying" />
        <span>
          Stage <span className="mono text-[13.5px]">{first.stage}</span> waits for a decision
        </span>
      </h2>
      <p className="wrap-text my-2 rounded-md bg-state-retrying-tint px-3 py-2 text-state-retrying">
        {first.message}
      </p>
      <p className="mb-2 text-small text-muted-foreground">
        asked {formatMoment(first.asked_at)}
        {first.due_at && `, ${AFTERWARDS[first.on_timeout]} ${formatMoment(first.due_at)}`}
        {first.assignees.length > 0 && `, for ${first.assignees.join(', ')}`}
        {open.length > 1 && `, and ${open.length - 1} more`}
      </p>
      {first.may_decide ? (
        <Decide key={`${first.stage}:${first.index}`} approval={first} />
      ) : (
        <p className="text-small">It is not for you to decide.</p>
      )}
    </Card>
  )
}

const AFTERWARDS: Record<Approval['on_timeout'], string> = {
  reject: 'rejected',
  approve: 'approved',
  fail: 'failed',
}

const COMMENT = '*comment'

function Decide({ approval }: { approval: Approval }) {
  const fields = fieldsOf(approval.form)
  const decide = useDecide(approval.execution_id)
  const form = useForm<RunValues>({
    defaultValues: {
      ...Object.fromEntries(fields.map((field) => [field.name, field.initial])),
      [COMMENT]: '',
    },
  })
  const submit = (decision: 'approve' | 'reject') =>
    form.handleSubmit((values) => {
      const { inputs, errors } = readAll(fields, values)
      const failed = decision === 'approve' ? Object.entries(errors) : []
      for (const [name, message] of failed) form.setError(name, { message }, { shouldFocus: true })
      if (failed.length > 0) return
      decide.mutate(
        {
          decision,
          stage: approval.stage,
          index: approval.index,
          comment: String(values[COMMENT] ?? ''),
          values: decision === 'approve' ? inputs : {},
        },
        {
          onError: (error) => {
            if (!(error instanceof ApiError)) return
            for (const problem of error.problems) {
              const name = fieldOfProblem(problem.path)
              if (name) form.setError(name, { message: problem.message }, { shouldFocus: true })
            }
          },
        },
      )
    })
  return (
    <form noValidate onSubmit={submit('approve')} className="flex max-w-[520px] flex-col gap-3">
      {fields.map((field) => (
        <RunControl key={field.name} field={field} form={form} errors={form.formState.errors} />
      ))}
      <Field label="Comment" optional>
        {(control) => <Input {...control} {...form.register(COMMENT)} />}
      </Field>
      {decide.error && <InlineError>{explain(decide.error)}</InlineError>}
      <div className="flex gap-2">
        <Button type="submit" variant="primary" disabled={decide.isPending}>
          <Icon name="tick" />
          Approve
        </Button>
        <Button variant="danger" disabled={decide.isPending} onClick={submit('reject')}>
          <Icon name="cross" />
          Reject
        </Button>
      </div>
    </form>
  )
}
