import { useState } from 'react'
import { DiffBlock } from '@/components/diff-block'
import { explain, InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { Field, Textarea } from '@/components/ui/field'
import { type Proposal, useDraft, type Wish } from '@/features/assistant/api'
import { SaidBy } from '@/features/assistant/components/said-by'
import { SentToDraft } from '@/features/assistant/components/sent-details'
import { ProblemList } from '@/features/pipelines/components/problem-list'

const LONGEST_WISH = 4000

type DraftPanelProps = {
  pipelineId: string | null
  source: string
  onUse: (source: string) => void
}

/** From a sentence to a proposed text. It goes into the editor only when somebody takes it, and is saved only there. */
export function DraftPanel({ pipelineId, source, onUse }: DraftPanelProps) {
  const [text, setText] = useState('')
  const draft = useDraft()
  const wish: Wish = { wish: text.trim(), definition: source, pipeline_id: pipelineId }
  const changes = source !== ''
  return (
    <Card aria-labelledby="draft" className="mb-3.5">
      <CardHeader
        title={
          <span id="draft" className="flex items-center gap-2">
            <Icon name="spark" className="text-insight" />
            Draft with the assistant
          </span>
        }
      >
        <span className="text-small text-muted-foreground">it proposes; you decide</span>
      </CardHeader>
      <form
        className="flex flex-col gap-2.5 px-4 py-3"
        onSubmit={(event) => {
          event.preventDefault()
          draft.mutate(wish)
        }}
      >
        <Field label={changes ? 'What should change?' : 'What should the pipeline do?'}>
          {(control) => (
            <Textarea
              {...control}
              rows={2}
              className="font-sans text-body"
              maxLength={LONGEST_WISH}
              value={text}
              onChange={({ target }) => setText(target.value)}
              placeholder={
                changes
                  ? 'Retry the download three times and tell me when it fails.'
                  : 'Every night at two: fetch the orders, refuse rows without an id, write one file per region.'
              }
            />
          )}
        </Field>
        <div className="flex flex-wrap items-center gap-x-3.5 gap-y-1.5">
          <Button type="submit" size="small" disabled={wish.wish === '' || draft.isPending}>
            {draft.isPending ? 'Asking…' : 'Propose'}
          </Button>
          <SentToDraft wish={wish} />
        </div>
        {draft.error && <InlineError>{explain(draft.error)}</InlineError>}
      </form>
      <div aria-live="polite" className="empty:hidden">
        {draft.data && (
          <Proposed
            proposal={draft.data}
            onUse={() => {
              onUse(draft.data.definition)
              draft.reset()
              setText('')
            }}
            onDiscard={() => draft.reset()}
          />
        )}
      </div>
    </Card>
  )
}

type ProposedProps = { proposal: Proposal; onUse: () => void; onDiscard: () => void }

function Proposed({ proposal, onUse, onDiscard }: ProposedProps) {
  return (
    <div className="flex flex-col gap-2.5 border-t border-border-soft px-4 py-3">
      <p className="flex items-center gap-2 font-medium">
        <Icon
          name={proposal.accepted ? 'tick' : 'warning'}
          className={proposal.accepted ? 'text-state-success' : 'text-state-retrying'}
        />
        {proposal.accepted
          ? proposal.diff === ''
            ? 'It proposes no change.'
            : 'Proposed, and checked: it is valid.'
          : 'It found no text that is valid. This is its last try:'}
      </p>
      {proposal.diff !== '' && <DiffBlock diff={proposal.diff} />}
      {proposal.problems.length > 0 && (
        <div className="rounded-md border border-border-soft">
          <ProblemList problems={proposal.problems} />
        </div>
      )}
      <div className="flex flex-wrap gap-2">
        {proposal.diff !== '' && (
          <Button
            size="small"
            variant={proposal.accepted ? 'primary' : 'secondary'}
            onClick={onUse}
          >
            Put it into the editor
          </Button>
        )}
        <Button size="small" onClick={onDiscard}>
          Discard
        </Button>
      </div>
      <SaidBy answer={proposal} />
    </div>
  )
}
