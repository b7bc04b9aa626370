import { useForm } from 'react-hook-form'
import { Link } from 'react-router'
import { InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { SchemaControl } from '@/components/schema-form/control'
import { type FormValues, fieldsOf, readAll } from '@/components/schema-form/fields'
import { showProblems, unplacedMessage } from '@/components/schema-form/problems'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { Field, Input } from '@/components/ui/field'
import { type Approval, useDecide } from '@/features/approvals/api'
import { formatMoment } from '@/lib/format'

type ApprovalCardProps = {
  approval: Approval
  /** How many more the same execution waits for. */
  more?: number
  /** Name the execution: where the card does not stand on its page. */
  showExecution?: boolean
}

/** One question that waits for a person, with its form. */
export function ApprovalCard({ approval, more = 0, showExecution = false }: ApprovalCardProps) {
  const { stage, index, execution_id: executionId } = approval
  const id = `approval-${executionId}-${stage}-${index}`
  return (
    <Card
      aria-labelledby={id}
      className="mb-3.5 border-[color-mix(in_srgb,var(--color-state-retrying)_40%,var(--color-border))] px-4 py-3"
    >
      <h2 id={id} className="flex gap-2 text-strong font-semibold">
        <Icon name="hand" className="mt-[3px] text-state-retrying" />
        <span className="wrap-text">
          {showExecution && (
            <>
              <Link to={`/executions/${executionId}`} className="text-link underline">
                {approval.pipeline_name} #{approval.number}
              </Link>
              {': '}
            </>
          )}
          Stage{' '}
          <span className="mono text-[13.5px]">{index > 0 ? `${stage} [${index}]` : stage}</span>{' '}
          waits for a decision
        </span>
      </h2>
      <p className="wrap-text my-2 rounded-md bg-state-retrying-tint px-3 py-2 text-state-retrying">
        {approval.message}
      </p>
      <p className="mb-2.5 text-small text-muted-foreground">
        asked {formatMoment(approval.asked_at)}
        {approval.due_at &&
          `, ${AFTERWARDS[approval.on_timeout]} ${formatMoment(approval.due_at)} unless somebody decides`}
        {approval.assignees.length > 0 && `, for ${approval.assignees.join(', ')}`}
        {more > 0 && `, and ${more} more in this execution`}
      </p>
      {approval.may_decide ? (
        <DecideForm approval={approval} />
      ) : (
        <p className="text-small">It is not for you to decide.</p>
      )}
    </Card>
  )
}

const AFTERWARDS: Record<Approval['on_timeout'], string> = {
  reject: 'rejected at',
  approve: 'approved at',
  fail: 'failed at',
}

const COMMENT = '*comment'

function DecideForm({ approval }: { approval: Approval }) {
  const fields = fieldsOf(approval.form)
  const decide = useDecide(approval.execution_id)
  const form = useForm<FormValues>({
    defaultValues: {
      ...Object.fromEntries(fields.map((field) => [field.name, field.initial])),
      [COMMENT]: '',
    },
  })
  const submit = (decision: 'approve' | 'reject') =>
    form.handleSubmit((values) => {
      const { inputs, errors } = readAll(fields, values)
      // Who rejects need not fill in the form.
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
        { onError: (error) => showProblems(error, fields, form.setError) },
      )
    })
  const elsewhere = unplacedMessage(decide.error, fields)
  return (
    <form noValidate onSubmit={submit('approve')} className="flex flex-col gap-3">
      <div className="grid grid-cols-[repeat(auto-fill,minmax(min(260px,100%),1fr))] items-start gap-3">
        {fields.map((field) => (
          <SchemaControl
            key={field.name}
            field={field}
            form={form}
            errors={form.formState.errors}
          />
        ))}
        <Field label="Comment" optional>
          {(control) => <Input {...control} {...form.register(COMMENT)} />}
        </Field>
      </div>
      {elsewhere && <InlineError>{elsewhere}</InlineError>}
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
